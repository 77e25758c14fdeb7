//! Files as a power cut leaves them: a journal that ends anywhere, a database in the middle of a checkpoint. They must
//! open and hold what was acknowledged up to there.

use std::path::Path;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngCore as _};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use spandrel::clock::Clock;

use super::client::Client;
use super::{check_file, seeded};
use crate::support::{Home, Process, Server, beside, database, database_url};

/// Writes of each part of these tests.
const WRITES: usize = 20;

/// What a disk writes whole, or not at all.
const SECTOR: usize = 512;

/// What a write may have at most: here it is not size that counts.
const COUNT_MAX: usize = 6;

/// The end of the journal when a write was acknowledged, and what its client knew then. The next write is under way.
struct Point {
    journal: usize,
    client: Client,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_ends_anywhere_holds_what_was_acknowledged_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seeded();
    let mut client = Client::new(0, rng.random());
    fill(folder.path(), &mut client, 5).await;
    let whole = std::fs::read(database(folder.path())).unwrap();
    let points = points(folder.path(), &mut client).await;
    let (file, journal) = files(folder.path());
    assert_eq!(file, whole, "a checkpoint was made");
    for (at, pair) in points.windows(2).enumerate() {
        let (Point { journal: end, client }, next) = (&pair[0], pair[1].journal);
        assert!((1..=journal.len()).contains(&next) && *end < next, "write {at} is not in the journal");
        println!("{at}: the journal ends with the commit");
        assert!(!holds(&file, &journal[..*end], client).await);
        println!("{at}: the next commit is there in part");
        assert!(!holds(&file, &journal[..rng.random_range(end + 1..next)], client).await);
        println!("{at}: after the commit there is something else");
        let mut torn = journal[..*end].to_vec();
        torn.extend(sector(&mut rng));
        assert!(!holds(&file, &torn, client).await);
        println!("{at}: a sector of the next commit was not written");
        let mut torn = journal[..next].to_vec();
        let lost = rng.random_range(*end..next) / SECTOR * SECTOR;
        let lost = lost.max(*end)..(lost + SECTOR).min(next);
        let length = lost.len();
        torn[lost].copy_from_slice(&sector(&mut rng)[..length]);
        // Zeros may be what was written.
        holds(&file, &torn, client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_the_middle_of_a_checkpoint_holds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seeded();
    let mut client = Client::new(0, rng.random());
    fill(folder.path(), &mut client, WRITES).await;
    points(folder.path(), &mut client).await;
    let (old, journal) = files(folder.path());
    let connection = Connection::open(database(folder.path())).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    let done: bool = connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)? && row.get::<_, i64>(0)? == 0)
        })
        .unwrap();
    assert!(done, "a part of the journal was not copied");
    drop(connection);
    let (new, still) = files(folder.path());
    assert!(still == journal && new != old && new.len() > old.len());
    for variant in 0..WRITES {
        println!("variant {variant}");
        let torn = between(&mut rng, &old, &new);
        assert!(!holds(&torn, &journal, &client).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_copied_after_an_answer_hold_all_that_was_acknowledged_whatever_checkpoints_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(0, seeded().random());
    let url = database_url(folder.path());
    // So small that checkpoints are under way nearly always.
    let process = Process::start(folder.path(), &["--database", &url, "--journal-bytes-max", "200000"]);
    let (mut copies, mut lengths) = (Vec::new(), Vec::new());
    for _ in 0..WRITES * 2 {
        assert!(client.write(&process.api).await.is_some());
        let (file, journal) = files(folder.path());
        lengths.push(journal.len());
        copies.push((file, journal, client.clone()));
    }
    assert!(copies.first().unwrap().0.len() < copies.last().unwrap().0.len(), "no checkpoint was made");
    assert!(lengths.windows(2).any(|pair| pair[0] == pair[1]), "the journal never began anew");
    for (number, (file, journal, client)) in copies.iter().enumerate().step_by(3) {
        println!("copy {number}");
        assert!(!holds(file, journal, client).await);
    }
}

/// Makes a database without a journal.
async fn fill(folder: &Path, client: &mut Client, writes: usize) {
    let mut process = Process::on_disk(folder);
    for _ in 0..writes {
        let write = client.prepare(COUNT_MAX);
        assert!(client.send(&process.api, write).await.is_some());
    }
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

/// Writes one by one, notes the end of the journal after each answer, and kills the server.
async fn points(folder: &Path, client: &mut Client) -> Vec<Point> {
    let mut process = Process::on_disk(folder);
    let journal = beside(&database(folder), "-wal");
    let mut points = Vec::new();
    for _ in 0..WRITES {
        let write = client.prepare(COUNT_MAX);
        let end = std::fs::metadata(&journal).map_or(0, |file| file.len());
        points.push(Point { journal: usize::try_from(end).unwrap(), client: client.clone() });
        assert!(client.send(&process.api, write).await.is_some());
    }
    process.signal(Signal::SIGKILL);
    process.wait();
    points
}

/// The database, then its journal: what a checkpoint does meanwhile is in both.
fn files(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let file = std::fs::read(database(folder)).unwrap();
    (file, std::fs::read(beside(&database(folder), "-wal")).unwrap())
}

/// A database some of whose sectors are new already.
fn between(rng: &mut StdRng, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut torn = new[..rng.random_range(old.len()..=new.len())].to_vec();
    // A checkpoint writes pages; the last of them may be torn.
    let written = *[SECTOR, 8_192].choose(rng).unwrap();
    let part = rng.random_range(0.0..1.0);
    for (at, old) in old.chunks(written).enumerate() {
        if rng.random_bool(part) {
            torn[at * written..][..old.len()].copy_from_slice(old);
        }
    }
    // Where the file grew, there may be nothing yet.
    for grown in torn[old.len()..].chunks_mut(written) {
        if rng.random_bool(part) {
            grown.fill(0);
        }
    }
    torn
}

/// Zeros, or whatever stood there before.
fn sector(rng: &mut StdRng) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    if rng.random() {
        rng.fill_bytes(&mut sector);
    }
    sector
}

/// Opens a database from these bytes, and fails unless it holds what the client knows. Tells whether the write that was
/// under way is there.
async fn holds(file: &[u8], journal: &[u8], client: &Client) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    std::fs::write(&database, file).unwrap();
    std::fs::write(beside(&database, "-wal"), journal).unwrap();
    let server = Server::on(Home::in_file(folder), &[], Clock::system()).await;
    let mut client = client.clone();
    let there = client.check(&server.api).await;
    check_file(server.home.folder(), &client.keys());
    there
}
