//! A PostgreSQL that speaks to nobody without TLS.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::faults::span;
use crate::support::cluster::hand_over;
use crate::support::{Cluster, Home, Process, fresh_id};

const PASSWORD: &str = "a-password-nobody-sees";

/// Certificates: of the server, by an authority that is trusted; and another authority.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::Builder::new().prefix("spandrel-tls-").tempdir().unwrap();
        hand_over(folder.path());
        let own = |name: &str, more: &[&str]| {
            let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
            let (keyout, subject) = (format!("{name}.key"), format!("/CN={name}"));
            openssl(folder.path(), &[&["req"][..], &key, &["-keyout", &keyout, "-subj", &subject], more].concat());
        };
        for authority in ["authority", "other"] {
            own(authority, &["-x509", "-days", "2", "-out", &format!("{authority}.crt")]);
        }
        own("server", &["-out", "server.csr"]);
        std::fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
            .unwrap();
        let signed = ["x509", "-req", "-in", "server.csr", "-CA", "authority.crt", "-CAkey", "authority.key"];
        let named = ["-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt"];
        openssl(folder.path(), &[&signed[..], &named].concat());
        // Superusers prepare, everybody else shows a password.
        let hba = "hostssl all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(folder.path().join("hba"), hba).unwrap();
        for name in ["server.key", "server.crt", "hba"] {
            hand_over(&folder.path().join(name));
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What a server says that cannot start.
fn refused(url: &str) -> String {
    let output = Process::run(&["serve", "--listen", "127.0.0.1:0", "--database", url], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!told.contains(PASSWORD) && !told.contains("panicked"), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_server_is_spoken_to_only_if_it_is_the_one_that_is_meant() {
    let certificates = Certificates::make();
    let files = ["server.crt", "server.key", "hba"].map(|name| certificates.file(name));
    let settings = [("ssl", "on"), ("ssl_cert_file", &*files[0]), ("ssl_key_file", &files[1]), ("hba_file", &files[2])];
    let cluster = Cluster::start(false, &settings);
    let password = format!("CREATE ROLE somebody LOGIN PASSWORD '{PASSWORD}'");
    cluster.administer("postgres", &password);
    cluster.administer("postgres", "CREATE DATABASE secure OWNER somebody");
    let url = |host: &str, mode: &str| {
        let mut url: reqwest::Url = cluster.url("somebody", "secure").parse().unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        url.set_host(Some(host)).unwrap();
        url.set_query(Some(mode));
        String::from(url)
    };
    let verified = |authority: &str| format!("sslmode=verify-full&sslrootcert={}", certificates.file(authority));

    for mode in [verified("authority.crt"), "sslmode=require".to_owned()] {
        let home = Home::at(url("localhost", &mode));
        let process = Process::on(&home);
        let id = process.api.create(&span(&fresh_id())).await;
        process.api.span(&id).await;
        process.api.get("/health").await.expect(200);
        let all = cluster.url("postgres", "secure");
        let plain = "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) \
                     WHERE a.usename = 'somebody' AND s.ssl IS NOT TRUE";
        assert_eq!(Home::at(all).number(plain), 0);
    }

    // Its certificate is of another name; it is of an authority that nobody trusts; nothing is encrypted.
    let told = refused(&url("127.0.0.1", &verified("authority.crt")));
    assert!(told.contains("127.0.0.1") && told.contains("certificate"), "{told}");
    for mode in [verified("other.crt"), "sslmode=verify-full".to_owned()] {
        let told = refused(&url("localhost", &mode));
        assert!(told.contains("localhost") && told.contains("certificate"), "{told}");
    }
    let told = refused(&url("localhost", "sslmode=disable"));
    assert!(told.contains("no encryption"), "{told}");
    let wrong = url("localhost", &verified("authority.crt")).replace(PASSWORD, "wrong-password");
    let told = refused(&wrong);
    assert!(told.contains("password authentication failed") && !told.contains("wrong-password"), "{told}");
}
