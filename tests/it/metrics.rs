//! Metrics of projects, and key figures.

use serde_json::{Value, json};

use crate::support::{Api, Server};

/// An id of this time, and of this number among those of its time.
fn id_at(time: &str, number: u32) -> String {
    let millis = chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis();
    let digits = format!("{millis:012x}");
    format!("{}-{}-7000-8000-{number:012x}", &digits[..8], &digits[8..])
}

/// What happens in the project: three days of traces, their spans and conversations.
async fn fill(api: &Api) -> String {
    let error = json!({"exception_type": "Timeout", "traceback": "t"});
    let mut number = 0;
    for (time, seconds, name, tags, failed, cost, tokens, quality) in [
        ("2025-06-02T00:00:00Z", 1, "a", vec!["x"], false, 1.0, 10, Some(0.0)),
        ("2025-06-02T23:59:59.999Z", 2, "b", vec!["x", "y"], true, 2.0, 20, Some(1.0)),
        ("2025-06-03T00:00:00Z", 3, "a", vec![], false, 4.0, 40, None),
        ("2025-06-09T12:00:00Z", 4, "", vec!["y"], false, 8.0, 80, Some(0.5)),
    ] {
        number += 1;
        let (start, end) = ("2025-06-01T00:00:00Z", format!("2025-06-01T00:00:0{seconds}Z"));
        let trace = json!({"id": id_at(time, number), "project_name": "p", "name": name, "tags": tags,
            "start_time": start, "end_time": end, "thread_id": format!("talk {number}"),
            "metadata": {"k": {"n": number}}, "error_info": failed.then(|| error.clone())});
        let trace = api.create_trace(&trace).await;
        let span = json!({"id": id_at(time, number), "trace_id": trace, "project_name": "p", "name": name, "tags": tags,
            "start_time": start, "end_time": end, "type": "llm", "model": format!("m{}", number % 2), "provider": "openai",
            "total_estimated_cost": cost, "usage": {"total_tokens": tokens}, "error_info": failed.then(|| error.clone())});
        let span = api.create(&span).await;
        if let Some(value) = quality {
            for path in [format!("traces/{trace}"), format!("spans/{span}")] {
                let score = json!({"name": "quality", "value": value, "source": "sdk"});
                api.put(&format!("/v1/private/{path}/feedback-scores"), &score).await.expect(204);
            }
        }
    }
    let project = api.post("/v1/private/projects/retrieve", &json!({"name": "p"})).await.expect(200).json();
    format!("/v1/private/projects/{}", project["id"].as_str().unwrap())
}

/// The results of a metric: each name with its values, of which the first digits of the time are told.
async fn metric(api: &Api, project: &str, body: Value) -> Value {
    let mut asked =
        json!({"interval": "DAILY", "interval_start": "2025-06-02T00:00:00Z", "interval_end": "2025-06-04T00:00:00Z"});
    asked.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let answer = api.post(&format!("{project}/metrics"), &asked).await.expect(200).json();
    for member in ["metric_type", "interval"] {
        assert_eq!(answer[member], asked[member]);
    }
    let results = answer["results"].as_array().unwrap().iter().map(|result| {
        let points = result["data"].as_array().unwrap().iter();
        let points = points.map(|point| json!([&point["time"].as_str().unwrap()[5..13], point["value"]]));
        (result["name"].as_str().unwrap().to_owned(), points.collect::<Value>())
    });
    Value::Object(results.collect())
}

#[tokio::test]
async fn every_metric_is_told_by_interval() {
    let server = Server::start().await;
    let project = fill(&server.api).await;
    let days = |first: Value, second: Value| json!([["06-02T00", first], ["06-03T00", second]]);
    for (kind, wanted) in [
        ("TRACE_COUNT", json!({"traces": days(json!(2.0), json!(1.0))})),
        ("SPAN_COUNT", json!({"spans": days(json!(2.0), json!(1.0))})),
        ("COST", json!({"cost": days(json!(3.0), json!(4.0))})),
        ("SPAN_COST", json!({"span_cost": days(json!(3.0), json!(4.0))})),
        ("GUARDRAILS_FAILED_COUNT", json!({"failed": days(json!(0.0), json!(0.0))})),
        ("TOKEN_USAGE", json!({"total_tokens": days(json!(30.0), json!(40.0))})),
        ("SPAN_TOKEN_USAGE", json!({"total_tokens": days(json!(30.0), json!(40.0))})),
        ("FEEDBACK_SCORES", json!({"quality": days(json!(0.5), Value::Null)})),
        ("SPAN_FEEDBACK_SCORES", json!({"quality": days(json!(0.5), Value::Null)})),
        ("TRACE_AVERAGE_DURATION", json!({"trace_average_duration": days(json!(1500.0), json!(3000.0))})),
        ("SPAN_AVERAGE_DURATION", json!({"span_average_duration": days(json!(1500.0), json!(3000.0))})),
        ("TRACE_ERROR_RATE", json!({"trace_error_rate": days(json!(50.0), json!(0.0))})),
        ("SPAN_ERROR_RATE", json!({"span_error_rate": days(json!(50.0), json!(0.0))})),
        (
            "DURATION",
            json!({"duration.p50": days(json!(1500.0), json!(3000.0)), "duration.p90": days(json!(1900.0), json!(3000.0)),
                "duration.p99": days(json!(1990.0), json!(3000.0))}),
        ),
        ("THREAD_COUNT", json!({"threads": days(json!(2.0), json!(1.0))})),
        ("THREAD_COST", json!({"thread_cost": days(json!(3.0), json!(4.0))})),
        ("THREAD_FEEDBACK_SCORES", json!({"": days(Value::Null, Value::Null)})),
        ("THREAD_AVERAGE_DURATION", json!({"thread_average_duration": days(json!(1500.0), json!(3000.0))})),
    ] {
        assert_eq!(metric(&server.api, &project, json!({"metric_type": kind})).await, wanted, "{kind}");
    }
    let long = json!({"metric_type": "THREAD_COUNT", "interval": "TOTAL", "interval_start": "2025-06-02T00:00:00Z",
        "interval_end": "2200-01-01T00:00:00Z"});
    assert_eq!(metric(&server.api, &project, long).await, json!({"threads": [["06-02T00", 4.0]]}));
    let long = json!({"metric_type": "THREAD_DURATION", "interval": "TOTAL", "interval_end": "2200-01-01T00:00:00Z"});
    assert_eq!(metric(&server.api, &project, long).await["thread_duration.p50"], json!([["06-02T00", 2500.0]]));
}

#[tokio::test]
async fn intervals_are_those_of_utc_and_begin_before_what_is_asked_for() {
    let server = Server::start().await;
    let project = fill(&server.api).await;
    for (interval, start, end, wanted) in [
        ("WEEKLY", "2025-06-02T00:00:00Z", "2025-06-16T00:00:00Z", json!([["06-02T00", 3.0], ["06-09T00", 1.0]])),
        // From Tuesday on: the two of Monday do not count, the week is still that one's.
        ("WEEKLY", "2025-06-03T00:00:00Z", "2025-06-10T00:00:00Z", json!([["06-02T00", 1.0], ["06-09T00", 1.0]])),
        (
            "HOURLY",
            "2025-06-02T22:30:00Z",
            "2025-06-03T00:00:01Z",
            json!([["06-02T22", 0.0], ["06-02T23", 1.0], ["06-03T00", 1.0]]),
        ),
        ("TOTAL", "2025-06-02T00:00:00.001Z", "2025-06-10T00:00:00Z", json!([["06-02T00", 3.0]])),
        ("DAILY", "2025-06-02T00:00:00Z", "2025-06-03T00:00:00Z", json!([["06-02T00", 2.0]])),
    ] {
        let body =
            json!({"metric_type": "TRACE_COUNT", "interval": interval, "interval_start": start, "interval_end": end});
        assert_eq!(metric(&server.api, &project, body).await, json!({"traces": wanted}), "{interval} {start}");
    }
    let filters = json!([{"field": "tags", "operator": "contains", "value": "y"}]);
    let body = json!({"metric_type": "TRACE_COUNT", "interval": "TOTAL", "interval_end": "2025-07-01T00:00:00Z", "trace_filters": filters});
    assert_eq!(metric(&server.api, &project, body).await, json!({"traces": [["06-02T00", 2.0]]}));
}

#[tokio::test]
async fn a_metric_is_taken_apart_by_what_there_is() {
    let server = Server::start().await;
    let project = fill(&server.api).await;
    let total = |value: f64| json!([["06-02T00", value]]);
    for (kind, breakdown, wanted) in [
        ("TRACE_COUNT", json!({"field": "name"}), json!({"Unknown": total(1.0), "a": total(2.0), "b": total(1.0)})),
        ("TRACE_COUNT", json!({"field": "tags"}), json!({"x": total(2.0), "y": total(2.0)})),
        ("TRACE_COUNT", json!({"field": "error_info"}), json!({"Has Error": total(1.0), "No Error": total(3.0)})),
        ("TRACE_COUNT", json!({"field": "error_type"}), json!({"Timeout": total(1.0), "Unknown": total(3.0)})),
        (
            "COST",
            json!({"field": "metadata", "metadata_key": "k.n"}),
            json!({"1": total(1.0), "2": total(2.0), "3": total(4.0), "4": total(8.0)}),
        ),
        ("SPAN_COUNT", json!({"field": "model"}), json!({"m0": total(2.0), "m1": total(2.0)})),
        ("SPAN_COUNT", json!({"field": "provider"}), json!({"openai": total(4.0)})),
        ("SPAN_COUNT", json!({"field": "type"}), json!({"llm": total(4.0)})),
        (
            "SPAN_TOKEN_USAGE",
            json!({"field": "model", "sub_metric": "total_tokens"}),
            json!({"m0": total(100.0), "m1": total(50.0)}),
        ),
        (
            "DURATION",
            json!({"field": "name", "sub_metric": "p50"}),
            json!({"Unknown": total(4000.0), "a": total(2000.0), "b": total(2000.0)}),
        ),
        (
            "FEEDBACK_SCORES",
            json!({"field": "tags", "sub_metric": "quality"}),
            json!({"x": total(0.5), "y": total(0.75)}),
        ),
        ("TRACE_COUNT", json!({"field": "none"}), json!({"traces": total(4.0)})),
    ] {
        let body = json!({"metric_type": kind, "breakdown": breakdown, "interval": "TOTAL", "interval_end": "2025-07-01T00:00:00Z"});
        assert_eq!(metric(&server.api, &project, body).await, wanted, "{kind} {breakdown}");
    }
    // Days on which there is nothing are left out.
    let body = json!({"metric_type": "TRACE_COUNT", "breakdown": {"field": "name"}});
    assert_eq!(
        metric(&server.api, &project, body).await,
        json!({"a": [["06-02T00", 1.0], ["06-03T00", 1.0]], "b": [["06-02T00", 1.0]]})
    );
}

#[tokio::test]
async fn what_is_beyond_the_ten_greatest_groups_is_told_together() {
    let server = Server::start().await;
    let mut spans = Vec::new();
    for name in 0..12 {
        for number in 0..=name {
            spans.push(json!({"id": id_at("2025-06-02T12:00:00Z", name * 100 + number), "project_name": "p",
                "name": format!("n{name:02}"), "start_time": "2025-06-02T12:00:00Z", "end_time": "2025-06-02T12:00:01Z"}));
        }
    }
    server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    let project = server.api.post("/v1/private/projects/retrieve", &json!({"name": "p"})).await.expect(200).json();
    let project = format!("/v1/private/projects/{}", project["id"].as_str().unwrap());
    let body = json!({"metric_type": "SPAN_COUNT", "breakdown": {"field": "name"}});
    let found = metric(&server.api, &project, body).await;
    let names: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 11, "{names:?}");
    assert_eq!((&found["__others__"], &found["n11"]), (&json!([["06-02T00", 3.0]]), &json!([["06-02T00", 12.0]])));
    let body = json!({"metric_type": "SPAN_DURATION", "breakdown": {"field": "name", "sub_metric": "p99"}});
    assert_eq!(metric(&server.api, &project, body).await["__others__"], json!([["06-02T00", 1000.0]]));
}

#[tokio::test]
async fn key_figures_are_those_of_an_interval_and_of_the_one_before() {
    let server = Server::start().await;
    let project = fill(&server.api).await;
    let figures = async |body: Value| {
        let answer = server.api.post(&format!("{project}/kpi-cards"), &body).await.expect(200).json();
        let figure = |figure: &Value| json!([figure["type"], figure["current_value"], figure["previous_value"]]);
        answer["stats"].as_array().unwrap().iter().map(figure).collect::<Value>()
    };
    for entity in ["traces", "spans"] {
        let mut body = json!({"entity_type": entity, "interval_start": "2025-06-03T00:00:00Z", "interval_end": "2025-06-04T00:00:00Z"});
        let wanted = json!([
            ["count", 1.0, 2.0],
            ["avg_duration", 3000.0, 1500.0],
            ["total_cost", 4.0, 3.0],
            ["errors", 0.0, 50.0]
        ]);
        assert_eq!(figures(body.clone()).await, wanted);
        body["filters"] = json!(r#"[{"field":"name","operator":"=","value":"b"}]"#);
        let wanted = json!([
            ["count", 0.0, 1.0],
            ["avg_duration", null, 2000.0],
            ["total_cost", 0.0, 2.0],
            ["errors", 0.0, 100.0]
        ]);
        assert_eq!(figures(body).await, wanted);
    }
    let body = json!({"entity_type": "threads", "interval_start": "2025-01-01T00:00:00Z", "interval_end": "2200-01-01T00:00:00Z"});
    let wanted = json!([["count", 4.0, 0.0], ["avg_duration", 2500.0, null], ["total_cost", 15.0, 0.0]]);
    assert_eq!(figures(body).await, wanted);
}
