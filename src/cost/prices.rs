//! The table of prices.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use bigdecimal::BigDecimal;
use memchr::memmem::Finder;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::formula::{Counts, cost};
use super::lookup::{as_named, candidates, lookup_provider, provider_of_row};
use crate::model::{Decimal, Usage};

/// The table that comes with the program.
const BUILT_IN: &str = include_str!("model_prices.json");

/// Digits of a cost's fraction; the rest is cut off, as in the original.
const FRACTION_DIGITS: i64 = 12;

/// Prices by provider and model.
#[derive(Debug, Default)]
pub struct Prices {
    /// Boxed: a table has room for twice as many as are in it.
    by_provider: HashMap<&'static str, HashMap<String, Box<Price>>>,
}

/// Prices that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is no JSON object of models.
    #[error("{path}: expected a JSON object with a model's prices under its name: {error}")]
    Table {
        /// Which.
        path: String,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// A model's prices mean nothing.
    #[error("{path}: the prices of {model:?}: {error}")]
    Row {
        /// Which file.
        path: String,
        /// Which model.
        model: String,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// None of its models has prices that are used here.
    #[error("{path}: no model in it has a `litellm_provider` that costs are estimated for")]
    Unused {
        /// Which file.
        path: String,
    },
}

/// A model's prices in US dollars, as LiteLLM names them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Price {
    pub litellm_provider: String,
    pub mode: Option<String>,
    pub input_cost_per_token: Option<Exact>,
    pub output_cost_per_token: Option<Exact>,
    pub cache_creation_input_token_cost: Option<Exact>,
    pub cache_read_input_token_cost: Option<Exact>,
    pub input_cost_per_audio_token: Option<Exact>,
    pub output_cost_per_audio_token: Option<Exact>,
    pub input_cost_per_character: Option<Exact>,
    pub output_cost_per_video_per_second: Option<Exact>,
    pub input_cost_per_token_above_128k_tokens: Option<Exact>,
    pub output_cost_per_token_above_128k_tokens: Option<Exact>,
    pub input_cost_per_token_above_200k_tokens: Option<Exact>,
    pub output_cost_per_token_above_200k_tokens: Option<Exact>,
    pub input_cost_per_token_above_272k_tokens: Option<Exact>,
    pub output_cost_per_token_above_272k_tokens: Option<Exact>,
    pub cache_creation_input_token_cost_above_200k_tokens: Option<Exact>,
    pub cache_read_input_token_cost_above_200k_tokens: Option<Exact>,
}

/// A price, digit for digit.
#[derive(Debug, Clone)]
pub(super) struct Exact(pub BigDecimal);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Decimal::deserialize(deserializer).map(|decimal| Self(decimal.exact()))
    }
}

/// Rows in the order of the file: of two with the same key, the later counts.
struct Rows<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Rows<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Rows<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rows<'de>, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = map.next_entry()? {
                    rows.push(row);
                }
                Ok(Rows(rows))
            }
        }
        deserializer.deserialize_map(InOrder).map(|rows| Rows(rows.0))
    }
}

impl Prices {
    /// The table that comes with the program.
    ///
    /// # Errors
    /// None: a test reads it.
    pub fn built_in() -> Result<Self, PricesError> {
        Self::parse("the built-in prices", BUILT_IN)
    }

    /// The table in a file, in the built-in table's form or LiteLLM's own.
    ///
    /// # Errors
    /// When the file cannot be read, or a price in it means nothing.
    pub fn read(path: &Path) -> Result<Self, PricesError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&name, &text),
            Err(error) => Err(PricesError::File { path: name, error }),
        }
    }

    fn parse(path: &str, text: &str) -> Result<Self, PricesError> {
        /// Enough of a row to see whether it is used.
        #[derive(Deserialize)]
        struct Head {
            litellm_provider: Option<String>,
        }
        let rows: Rows<'_> =
            serde_json::from_str(text).map_err(|error| PricesError::Table { path: path.to_owned(), error })?;
        let mut prices = Self::default();
        for (model, row) in rows.0 {
            let head: Option<Head> = serde_json::from_str(row.get()).ok();
            let Some(provider) = head.and_then(|head| head.litellm_provider).and_then(|name| provider_of_row(&name))
            else {
                continue;
            };
            if provider == "bedrock" && model.contains('/') {
                continue;
            }
            let price: Price = serde_json::from_str(row.get()).map_err(|error| PricesError::Row {
                path: path.to_owned(),
                model: model.clone(),
                error,
            })?;
            let name = model.split_once('/').map_or(model.as_str(), |(_, name)| name).to_owned();
            prices.by_provider.entry(provider).or_default().insert(name, Box::new(price));
        }
        if prices.is_empty() {
            return Err(PricesError::Unused { path: path.to_owned() });
        }
        Ok(prices)
    }

    /// How many models have a price.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_provider.values().map(HashMap::len).sum()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a span cost, in US dollars: by its model's prices and its token counts, else what its metadata says under
    /// `cost`. Nothing where that is not above zero.
    #[must_use]
    pub fn estimate(
        &self,
        model: Option<&str>,
        provider: Option<&str>,
        usage: Option<&Usage>,
        metadata: Option<&str>,
    ) -> Option<Decimal> {
        let no_counts = Usage::default();
        let priced = self.price(model, provider).map(|price| cost(price, &Counts(usage.unwrap_or(&no_counts))));
        let zero = BigDecimal::default();
        let cost = priced.filter(|cost| *cost > zero).or_else(|| metadata.and_then(stated_in))?;
        Some(Decimal::cut(&cost, FRACTION_DIGITS)).filter(|cost| !cost.is_zero() && !cost.is_negative())
    }

    fn price(&self, model: Option<&str>, provider: Option<&str>) -> Option<&Price> {
        let (model, provider) = (model?.trim(), provider?.trim());
        if model.is_empty() || provider.is_empty() {
            return None;
        }
        let models = self.by_provider.get(lookup_provider(provider))?;
        let found =
            models.get(as_named(model)).or_else(|| candidates(model).into_iter().find_map(|name| models.get(&name)));
        found.map(Box::as_ref)
    }
}

static MEMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"total_cost\""));

/// The cost that metadata states: `{"cost": {"total_cost": 0.1, "currency": "USD"}}`.
fn stated_in(metadata: &str) -> Option<BigDecimal> {
    #[derive(Deserialize)]
    struct Metadata {
        cost: Option<Cost>,
    }
    #[derive(Deserialize)]
    struct Cost {
        currency: Option<String>,
        total_cost: Option<Decimal>,
    }
    // Most metadata has no such member: no need to read it.
    MEMBER.find(metadata.as_bytes())?;
    let cost = serde_json::from_str::<Metadata>(metadata).ok()?.cost?;
    if cost.currency.as_deref() == Some("USD") { cost.total_cost.map(|total| total.exact()) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(counts: &[(&str, i32)]) -> Usage {
        Usage(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    }

    fn estimate(table: &str, model: &str, provider: &str, counts: &[(&str, i32)]) -> String {
        let prices = Prices::parse("a test", table).expect("valid");
        let cost = prices.estimate(Some(model), Some(provider), Some(&usage(counts)), None);
        cost.map_or_else(|| "none".to_owned(), |cost| cost.as_str().to_owned())
    }

    fn built_in(model: &str, provider: &str, counts: &[(&str, i32)]) -> String {
        estimate(BUILT_IN, model, provider, counts)
    }

    const AUDIO: &str = r#"{"gpt-4o-audio-preview":{"litellm_provider":"openai","input_cost_per_token":0.0000025,
        "output_cost_per_token":0.00001,"input_cost_per_audio_token":0.00004,"output_cost_per_audio_token":0.00008}}"#;

    #[test]
    fn the_built_in_table_is_there() {
        assert!(Prices::built_in().expect("valid").len() > 500);
    }

    #[test]
    fn worked_values_come_out() {
        let counts = [("prompt_tokens", 200_000), ("completion_tokens", 1_000)];
        assert_eq!(built_in("gemini-2.5-pro", "google_vertexai", &counts), "0.26");
        let counts = [("prompt_tokens", 300_000), ("completion_tokens", 1_000)];
        assert_eq!(built_in("gemini-2.5-pro", "google_vertexai", &counts), "0.765");
        let counts = [("prompt_tokens", 272_000), ("completion_tokens", 1_000)];
        assert_eq!(built_in("gpt-5.4", "openai", &counts), "0.695");
        let counts =
            [("prompt_tokens", 1_000), ("completion_tokens", 200), ("prompt_tokens_details.audio_tokens", 300)];
        assert_eq!(estimate(AUDIO, "gpt-4o-audio-preview", "openai", &counts), "0.01575");
    }

    #[test]
    fn names_are_found_in_the_originals_order() {
        let table = r#"{
            "gpt-x":{"litellm_provider":"openai","input_cost_per_token":1},
            "claude-3-5-y":{"litellm_provider":"anthropic","input_cost_per_token":2},
            "azure/gpt-x":{"litellm_provider":"azure","input_cost_per_token":3},
            "anthropic.z":{"litellm_provider":"bedrock","input_cost_per_token":4},
            "eu/anthropic.q":{"litellm_provider":"bedrock","input_cost_per_token":5},
            "gemini/g":{"litellm_provider":"gemini","input_cost_per_token":6},
            "v":{"litellm_provider":"vertex_ai-language-models","input_cost_per_token":7}
        }"#;
        for (model, provider, wanted) in [
            ("gpt-x", "openai", "10"),
            ("openai/gpt-x", "openai", "10"),
            ("gpt-x-2024-01-15", "openai", "10"),
            ("GPT-X-2024-01-15", "openai", "10"),
            ("GPT-X", "openai", "none"),
            ("gpt-x:2", "openai", "10"),
            ("gpt-x", "OpenAI", "none"),
            ("claude-3.5-y", "anthropic", "20"),
            ("Claude-3.5-Y-2024-01-15", "anthropic", "20"),
            ("gpt-x", "azure", "30"),
            ("anthropic.z", "bedrock", "40"),
            ("anthropic.q", "bedrock", "none"),
            ("g", "google_ai", "60"),
            ("g", "gemini", "60"),
            ("v", "vertex-ai", "70"),
            ("v", "google_vertexai", "70"),
            ("unknown", "openai", "none"),
            ("gpt-x", "", "none"),
        ] {
            assert_eq!(estimate(table, model, provider, &[("prompt_tokens", 10)]), wanted, "{model} of {provider}");
        }
    }

    #[test]
    fn metadata_can_state_the_cost() {
        let prices = Prices::default();
        let stated =
            |metadata: &str| prices.estimate(None, None, None, Some(metadata)).map(|cost| cost.as_str().to_owned());
        assert_eq!(
            stated(r#"{"cost":{"total_cost":0.1234567890123456,"currency":"USD"}}"#).as_deref(),
            Some("0.123456789012")
        );
        for metadata in [
            r#"{"cost":{"total_cost":"0.1","currency":"USD"}}"#,
            r#"{"cost":{"total_cost":0.1,"currency":"EUR"}}"#,
            r#"{"cost":{"total_cost":0.1}}"#,
            r#"{"cost":{"total_cost":-1,"currency":"USD"}}"#,
            r#"{"cost":{"total_cost":0,"currency":"USD"}}"#,
            r#"[{"cost":{"total_cost":1,"currency":"USD"}}]"#,
            "\"total_cost\"",
        ] {
            assert_eq!(stated(metadata), None, "{metadata}");
        }
    }

    #[test]
    fn bad_tables_say_where() {
        let error = |table: &str| Prices::parse("p.json", table).expect_err("bad").to_string();
        assert!(error("[]").starts_with("p.json: expected a JSON object"), "{}", error("[]"));
        let row = error(r#"{"m":{"litellm_provider":"openai","input_cost_per_token":"x"}}"#);
        assert!(row.starts_with("p.json: the prices of \"m\""), "{row}");
        // Rows that are not used are not looked into; there must be some that are.
        let unused = error(r#"{"sample_spec":{"litellm_provider":1,"max_tokens":"text"}}"#);
        assert!(unused.starts_with("p.json: no model in it"), "{unused}");
    }

    proptest! {
        #[test]
        fn a_cost_is_never_negative(
            model in prop::sample::select(vec!["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "x"]),
            provider in prop::sample::select(vec!["openai", "anthropic", "google_vertexai", "azure"]),
            counts in prop::collection::btree_map(
                prop::sample::select(vec!["prompt_tokens", "completion_tokens", "cache_read_input_tokens",
                    "original_usage.prompt_tokens_details.cached_tokens", "original_usage.input_tokens"]),
                any::<i32>(), 0..5),
        ) {
            use std::sync::LazyLock;
            static PRICES: LazyLock<Prices> = LazyLock::new(|| Prices::built_in().expect("valid"));
            let usage = Usage(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
            let cost = PRICES.estimate(Some(model), Some(provider), Some(&usage), None);
            prop_assert!(cost.is_none_or(|cost| cost.to_f64() > 0.0));
        }
    }
}
