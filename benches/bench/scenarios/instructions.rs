//! Instructions that the server executes for a request, counted by valgrind's callgrind: the same on every run, whatever
//! else the machine does. They are kept in a file, so that a change that costs more is seen when it is made.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::{create, create_many, data, float};
use crate::client::{Connection, request};
use crate::data::{PROJECT, Span};
use crate::report::{Figure, Target};
use crate::server::{Database, Server};
use crate::{Failure, Options};

/// What was counted last.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");

/// How much more it may become before the file must tell.
const GROWTH_MAX: f64 = 1.1;

/// Spans of a batch.
const BATCH: usize = 1_000;

/// Requests of one kind. What starting and stopping costs is taken off: it is the difference of two runs, with few of them
/// and with many.
struct Work {
    name: &'static str,
    few: usize,
    many: usize,
    requests: fn(&[Span], usize) -> Vec<Bytes>,
}

const WORK: [Work; 3] = [
    Work {
        name: "a batch of 1,000 spans",
        few: 2,
        many: 6,
        requests: |spans, number| spans.chunks(BATCH).take(number).map(create_many).collect(),
    },
    Work {
        name: "a single span",
        few: 50,
        many: 250,
        requests: |spans, number| spans[..number].iter().map(create).collect(),
    },
    Work {
        name: "a page of 100 spans",
        few: 2,
        many: 22,
        requests: |spans, number| {
            let page = format!("/v1/private/spans?project_name={PROJECT}&size=100");
            let page = request("GET", &page, b"");
            [create_many(&spans[..BATCH])].into_iter().chain(std::iter::repeat_n(page, number)).collect()
        },
    },
];

/// Counts once, whatever the number of repetitions. Fails where a count grew by more than it may, unless it is to be kept.
pub(super) async fn run(options: &Options) -> Result<Vec<Figure>, Failure> {
    let spans = data(options, 0).spans(WORK[0].many * BATCH);
    let mut counts = BTreeMap::new();
    for work in &WORK {
        let few = count(options, (work.requests)(&spans, work.few)).await?;
        let many = count(options, (work.requests)(&spans, work.many)).await?;
        let each = many.saturating_sub(few) / u64::try_from(work.many - work.few)?;
        eprintln!("instructions: {each} for {}", work.name);
        counts.insert(work.name.to_owned(), each);
    }
    if options.bless {
        std::fs::write(FILE, serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let kept: BTreeMap<String, u64> = serde_json::from_str(&std::fs::read_to_string(FILE)?)?;
    let mut figures = Vec::new();
    for (name, count) in counts {
        let kept = *kept.get(&name).ok_or_else(|| format!("{FILE} has no count for {name}"))?;
        let mut figure = Figure::new(format!("instructions: {name}"), "millions");
        let millions = |count| Ok::<_, Failure>(float(usize::try_from(count)?) / 1e6);
        figure.values.push(millions(count)?);
        figure.ceilings.push(millions(kept)?);
        figures.push(figure.target(Target::RatioAtMost(GROWTH_MAX)));
    }
    if let Some(grown) = figures.iter().find(|figure| figure.is_met() == Some(false)) {
        return Err(format!(
            "{}: {:.3} millions, {:.3} when they were last kept. If that is worth it, keep them with --bless",
            grown.name, grown.values[0], grown.ceilings[0]
        )
        .into());
    }
    Ok(figures)
}

/// Instructions of a server from its start to its end, with these requests between.
async fn count(options: &Options, requests: Vec<Bytes>) -> Result<u64, Failure> {
    let database = Database::new(options)?;
    let log = database.file().with_extension("log");
    let to = format!("--log-file={}", log.display());
    let callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &to];
    let server = Server::start_under(&callgrind, options, &database)?;
    let mut connection = Connection::open(&server.address).await?;
    for request in requests {
        let answer = connection.send(&request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("answered {}", answer.status).into());
        }
    }
    drop(connection);
    server.stop()?;
    collected(&log)
}

/// What callgrind wrote at the end: `==7== Collected : 123`.
fn collected(log: &Path) -> Result<u64, Failure> {
    let log = std::fs::read_to_string(log)?;
    let line = log.lines().rev().find_map(|line| line.split_once("Collected : ")).ok_or("callgrind told no count")?;
    Ok(line.1.trim().parse()?)
}
