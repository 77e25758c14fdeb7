//! What is about PostgreSQL alone, with clusters and servers that are stopped and killed. `cargo test --test postgres`
//! runs it; where there is no PostgreSQL, it is told as ignored.

mod clusters;
mod faults;
mod many;
mod pooler;
mod privileges;
mod proxy;
mod rolling;
mod servers;
mod tls;
mod uploads;
