//! Clients that hold on to what they have: bodies that come a byte a second, answers that nobody reads, connections on
//! which no request comes. All of that while others write as usual.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::{create, create_many, data, float, mib, progress};
use crate::ceiling;
use crate::client::request;
use crate::data::{PROJECT, Span};
use crate::drive::{Drive, Sent, drive};
use crate::load::{closed, quantiles};
use crate::report::{Figure, Target};
use crate::server::{Database, Server, cpu};
use crate::templates::Templates;
use crate::watch::Watch;
use crate::{Failure, Options};

const NAME: &str = "troublemakers";

/// Of each kind.
const EACH: usize = 100;

/// Seconds of the usual load, without and with them.
const SECONDS: f64 = 10.0;

/// What the server is told to allow; a little more than that is waited.
const ALLOWED_SECONDS: &str = "12";
const ALLOWED: Duration = Duration::from_secs(12);
const WAIT: Duration = Duration::from_secs(30);

/// Bytes that a client which does not read has room for.
const ROOM_BYTES: u32 = 4 << 10;

pub(super) async fn run(options: &Options) -> Result<Vec<Figure>, Failure> {
    let mut rates = Figure::new(
        format!(
            "{NAME}: single creates on 16 connections beside {EACH} each of slow bodies, answers not read, connections \
                 without a request; against without them"
        ),
        "spans/s",
    );
    let in_time = Target::AtMost(ALLOWED.as_secs_f64() + 1.0);
    let cut = |what: &str| {
        Figure::new(format!("{NAME}: {what} are cut off, {ALLOWED_SECONDS} s being allowed"), "s").target(in_time)
    };
    let mut cuts = ["slow bodies", "connections without a request", "answers that nobody reads"].map(cut);
    let mut journal = Figure::new(format!("{NAME}: journal at most"), "MiB");
    for repetition in 0..options.repeat {
        let mut data = data(options, repetition);
        let trace_spans = options.scaled(10_000).max(5_000);
        let big: Vec<Span> = (0..trace_spans).map(|_| data.span(trace_spans)).collect();
        let big_read =
            format!("/v1/private/spans?project_name={PROJECT}&trace_id={}&size={trace_spans}", big[0].trace_id);
        let templates = Templates::new(data, 1, 20_000, 1, |spans| create(&spans[0]).into());
        let (templates, next) = (Arc::new(templates), Arc::new(AtomicUsize::new(0)));
        let database = Database::new(options)?;
        let flags = ["--body-seconds-max", "--idle-seconds-max", "--stalled-seconds-max"];
        let flags = flags.map(|flag| [flag, ALLOWED_SECONDS]).concat();
        let server = Server::start_with(options, &database, &flags)?;
        closed(&server, 1, big.chunks(1_000).map(|spans| vec![create_many(spans)]).collect()).await?;
        drop(big);
        let seconds = (SECONDS * options.scale).max(1.0);
        let usual = Drive { connections: 16, rate: None, seconds };
        let without = drive(&server.address, &templates, &next, usual).await?;
        server.forget_peak()?;
        let watch = Watch::start(&database);

        let sockets_before = server.sockets()?;
        let begun = Instant::now();
        let mut slow = JoinSet::new();
        let mut mute = JoinSet::new();
        let mut deaf = Vec::new();
        for number in 0..EACH {
            slow.spawn(slow_body(server.address.clone()));
            mute.spawn(no_request(server.address.clone(), number % 2 == 0));
            deaf.push(no_reader(&server.address, &big_read).await?);
        }
        let cpu_before = (server.cpu()?, cpu("self")?);
        let with = drive(&server.address, &templates, &next, usual).await?;
        let spent = (server.cpu()? - cpu_before.0, cpu("self")? - cpu_before.1);
        let memory = server.peak_memory()?;
        for (figure, set) in cuts.iter_mut().zip([slow, mute]) {
            figure.values.push(set.join_all().await.into_iter().fold(0.0, f64::max));
        }
        while server.sockets()? > sockets_before && begun.elapsed() < WAIT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cuts[2].values.push(begun.elapsed().as_secs_f64());
        drop(deaf);
        drop(server);

        rates.values.push(float(with.len()) / seconds);
        rates.ceilings.push(float(without.len()) / seconds);
        rates.server_cpu.push(spent.0 / float(with.len()) * 1e6);
        rates.own_cpu.push(spent.1 / float(with.len()) * 1e6);
        let mut took: Vec<f64> = with.iter().map(|sent| sent.ended - sent.begun).collect();
        took.sort_unstable_by(f64::total_cmp);
        rates.latencies.push(quantiles(&took));
        rates.memory.push(memory);
        journal.values.push(mib(watch.most()));
        if !without.iter().chain(&with).all(Sent::is_success) {
            return Err("the usual load was not served".into());
        }
        let ids: Vec<_> = without.iter().chain(&with).flat_map(|sent| templates.ids(sent.number)).collect();
        ceiling::verify(&database.file(), &ids)?;
        let [slow, mute, deaf] = [0, 1, 2].map(|kind| cuts[kind].values.last().copied().unwrap_or_default());
        let rates = [&without, &with].map(|sent| float(sent.len()) / seconds);
        progress(
            NAME,
            repetition,
            &format!(
                "{:.0} spans/s without, {:.0} with; cut off after {slow:.1}, {mute:.1} and {deaf:.1} s",
                rates[0], rates[1]
            ),
        );
    }
    let [slow, mute, deaf] = cuts;
    Ok(vec![rates, slow, mute, deaf, journal])
}

/// Seconds until the server ends a connection, or all that is waited.
async fn until_end(stream: &mut TcpStream) -> f64 {
    let begun = Instant::now();
    let mut buffer = [0; 1 << 10];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {} };
    let _ = timeout(WAIT, read).await;
    begun.elapsed().as_secs_f64()
}

/// A byte a second; until an answer says that it has taken too long.
async fn slow_body(address: String) -> f64 {
    let body = async {
        let mut stream = TcpStream::connect(address).await?;
        let head = "POST /v1/private/spans HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
            content-length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await?;
        let begun = Instant::now();
        let mut second = interval(Duration::from_secs(1));
        let mut answer = [0; 1 << 10];
        loop {
            tokio::select! {
                _ = second.tick() => stream.write_all(b" ").await?,
                _ = stream.read(&mut answer) => return Ok::<_, std::io::Error>(begun.elapsed().as_secs_f64()),
            }
        }
    };
    // A connection that could not be made, or that broke, was not waited for.
    timeout(WAIT, body).await.map_or(WAIT.as_secs_f64(), |body| body.unwrap_or(0.0))
}

/// Half of a head, or nothing.
async fn no_request(address: String, something: bool) -> f64 {
    let Ok(mut stream) = TcpStream::connect(address).await else { return 0.0 };
    if something {
        let _ = stream.write_all(b"GET /v1/private/spans HTTP/1.1\r\nhost: loc").await;
    }
    until_end(&mut stream).await
}

/// Asks, and leaves the answer where it is.
async fn no_reader(address: &str, path: &str) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(ROOM_BYTES)?;
    let mut stream = socket.connect(address.parse()?).await?;
    stream.write_all(&request("GET", path, b"")).await?;
    Ok(stream)
}
