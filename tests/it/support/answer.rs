//! An answer, and what tests ask of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, already held against the document.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Fails unless the status is this one; says what came instead.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails unless this is what makes SDKs keep the data and send it again: 429, and a time in both of the headers that
    /// they read. The message names this cause.
    #[track_caller]
    pub(crate) fn expect_try_later(&self, cause: &str) {
        assert_eq!(self.status, 429, "{}", self.text());
        assert!(self.json()["message"].as_str().unwrap().contains(cause), "{}", self.text());
        let seconds: u64 = self.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(self.header("ratelimit-reset"), self.header("retry-after"));
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers)).to_str().unwrap()
    }

    /// The short texts of an error.
    #[track_caller]
    pub(crate) fn errors(&self) -> Vec<String> {
        serde_json::from_value(self.json()["errors"].clone()).unwrap()
    }

    /// The pointers of an error's violations.
    #[track_caller]
    pub(crate) fn pointers(&self) -> Vec<String> {
        let violations = self.json()["violations"].as_array().cloned().unwrap_or_default();
        violations.iter().map(|violation| violation["pointer"].as_str().unwrap().to_owned()).collect()
    }
}
