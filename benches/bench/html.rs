//! The figures as a page that needs nothing else: the table, bars of what is done of what could be, and lines over the
//! number of spans.

use std::fmt::Write as _;

use crate::report::{COLUMNS, Figure, Report};

const STYLE: &str = "body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222 } \
    table { border-collapse: collapse } td, th { border-bottom: 1px solid #ddd; padding: .3em .7em; text-align: right } \
    td:first-child, th:first-child { text-align: left; max-width: 36em } .missed { background: #fde8e8 } \
    svg { display: block; margin: 1em 0 } svg text { font: 12px system-ui, sans-serif; fill: #222 }";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Spandrel: figures</title>\
         <style>{STYLE}</style>\n<h1>Figures</h1>\n<p>{}</p>\n",
        escaped(&report.machine)
    );
    page.push_str(&table(report));
    page.push_str(&bars(report));
    for figure in report.figures.iter().filter(|figure| figure.line.len() > 1) {
        page.push_str(&line(figure));
    }
    page.push_str("</html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn table(report: &Report) -> String {
    let row = |cell: &str, texts: &[&str]| {
        texts.iter().fold(String::new(), |row, text| row + "<" + cell + ">" + &escaped(text) + "</" + cell + ">")
    };
    let mut table = format!("<table>\n<tr>{}</tr>\n", row("th", &COLUMNS));
    for figure in &report.figures {
        let class = if figure.is_met() == Some(false) { " class=\"missed\"" } else { "" };
        let cells = figure.cells().map(|cell| cell.replace("**", ""));
        let _ = writeln!(table, "<tr{class}>{}</tr>", row("td", &cells.each_ref().map(String::as_str)));
    }
    table + "</table>\n"
}

/// A bar for each figure with a ceiling that more is better of; the ceiling is the whole width.
fn bars(report: &Report) -> String {
    const WIDTH: f64 = 400.0;
    let rates = report.figures.iter().filter(|figure| figure.unit.ends_with("/s"));
    let ratios: Vec<(&Figure, f64)> = rates.filter_map(|figure| Some((figure, figure.ratio()?))).collect();
    if ratios.is_empty() {
        return String::new();
    }
    let mut svg = format!("<h2>Of the ceiling</h2>\n<svg width=\"1200\" height=\"{}\">\n", ratios.len() * 24);
    for (place, (figure, ratio)) in ratios.into_iter().enumerate() {
        let (top, wide) = (place * 24, (ratio * WIDTH).min(WIDTH));
        let colour = if figure.is_met() == Some(false) { "#d9534f" } else { "#3b7dd8" };
        let _ = writeln!(
            svg,
            "<rect y=\"{top}\" width=\"{WIDTH}\" height=\"18\" fill=\"#eee\"/>\
             <rect y=\"{top}\" width=\"{wide:.1}\" height=\"18\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{}\">{:.0} % {}</text>",
            WIDTH + 8.0,
            top + 13,
            ratio * 100.0,
            escaped(&figure.name)
        );
    }
    svg + "</svg>\n"
}

fn line(figure: &Figure) -> String {
    const WIDTH: f64 = 900.0;
    const HEIGHT: f64 = 300.0;
    let most = |place: usize| figure.line.iter().map(|point| point[place]).fold(1.0, f64::max);
    let (most_x, most_y) = (most(0), most(1));
    let mut points = String::new();
    for [x, y] in &figure.line {
        let _ = write!(points, "{:.1},{:.1} ", x / most_x * WIDTH, HEIGHT - y / most_y * HEIGHT);
    }
    format!(
        "<h2>{}</h2>\n<svg width=\"1000\" height=\"340\" viewBox=\"-10 -20 1000 340\">\
         <path d=\"M0,0V{HEIGHT}H{WIDTH}\" fill=\"none\" stroke=\"#999\"/>\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#3b7dd8\" stroke-width=\"2\"/>\
         <text x=\"4\" y=\"-6\">{most_y:.0} {}</text>\
         <text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">{most_x:.0} spans</text></svg>\n",
        escaped(&figure.name),
        points.trim_end(),
        figure.unit,
        HEIGHT + 16.0,
    )
}
