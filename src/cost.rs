//! What a span cost, where nobody said: worked out from its token counts and a table of prices.
//!
//! The table is LiteLLM's, cut down to what is used (`scripts/model_prices.py`); a file in the same form, or LiteLLM's
//! own, can take its place. All arithmetic is exact, and the outcome is cut to twelve digits of fraction.

mod formula;
mod lookup;
mod prices;

pub use prices::{Prices, PricesError};

/// Version of this way of working a cost out, as the original numbers it.
pub const VERSION: &str = "1.1";
