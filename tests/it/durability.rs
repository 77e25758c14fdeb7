//! 2xx means on disk: what was acknowledged is there whatever ends the program or befalls its files, and nothing is ever
//! there by halves. `docs/durability.md` tells what is promised.

pub(crate) mod client;
mod damaged;
mod full;
pub(crate) mod kill;
mod read_only;
mod stop;
mod sync;
mod torn;

use std::collections::BTreeSet;
use std::path::Path;

use rand::SeedableRng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use rand::rngs::StdRng;
use rusqlite::{Connection, OpenFlags};

use crate::support::{Answer, Api, database, fresh_id};

/// A source of chance that can be had again.
pub(crate) fn seeded() -> StdRng {
    let seed = std::env::var("SPANDREL_TESTS_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SPANDREL_TESTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// A text of this span's own that cannot be packed into much less.
fn noise(id: &str, length: usize) -> String {
    let seed = id.parse::<uuid::Uuid>().unwrap().as_u64_pair().1;
    Alphanumeric.sample_string(&mut StdRng::seed_from_u64(seed), length)
}

/// Attaches a file to a span of its own.
async fn upload(api: &Api, content: &[u8]) -> Answer {
    let query = format!("file_name=a.bin&entity_type=span&entity_id={}", fresh_id());
    let request = api.request("PUT", &format!("/v1/private/attachment/upload?{query}"));
    api.send(request.body(content.to_vec())).await
}

/// Checks what SQLite can tell of the file: it is sound, has exactly these spans and traces, and its counts are true.
#[track_caller]
fn check_file(folder: &Path, keys: &BTreeSet<&str>) {
    let file = Connection::open_with_flags(database(folder), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(rows("SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    let there = "SELECT 'spans/' || lower(hex(id)) FROM spans UNION ALL SELECT 'traces/' || lower(hex(id)) FROM traces";
    let there: BTreeSet<String> = rows(there).into_iter().collect();
    assert_eq!(there, keys.iter().map(|key| key.replace('-', "")).collect());
    for (kept, counted) in [
        (
            "SELECT project || ' ' || type || ' ' || spans FROM project_span_counts WHERE spans != 0 ORDER BY 1",
            "SELECT project || ' ' || type || ' ' || count(*) FROM spans GROUP BY project, type ORDER BY 1",
        ),
        (
            "SELECT project || ' ' || hex(trace_id) || ' ' || spans FROM trace_sums ORDER BY 1",
            "SELECT project || ' ' || hex(trace_id) || ' ' || count(*) FROM spans GROUP BY project, trace_id ORDER BY 1",
        ),
        (
            "SELECT project || ' ' || traces FROM project_trace_counts WHERE traces != 0 ORDER BY 1",
            "SELECT project || ' ' || count(*) FROM traces GROUP BY project ORDER BY 1",
        ),
    ] {
        assert_eq!(rows(kept), rows(counted));
    }
}
