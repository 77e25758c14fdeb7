//! From token counts and prices to a cost.

use bigdecimal::{BigDecimal, Zero as _};

use super::prices::{Exact, Price};
use crate::model::Usage;

/// A span's token counts.
pub(super) struct Counts<'a>(pub &'a Usage);

impl Counts<'_> {
    /// The first of these counts that there is; 0 if there is none.
    fn first(&self, names: &[&str]) -> i64 {
        names.iter().find_map(|name| self.0.0.get(*name)).map_or(0, |count| i64::from(*count))
    }

    fn get(&self, name: &str) -> Option<i64> {
        self.0.0.get(name).map(|count| i64::from(*count))
    }
}

fn above_zero(price: Option<&Exact>) -> bool {
    price.is_some_and(|price| price.0 > BigDecimal::zero())
}

fn times(count: i64, price: Option<&Exact>) -> BigDecimal {
    price.map_or_else(BigDecimal::zero, |price| &price.0 * BigDecimal::from(count))
}

/// The prices that hold for a prompt of some length.
struct Tier<'a> {
    input: Option<&'a Exact>,
    output: Option<&'a Exact>,
    cache_read: Option<&'a Exact>,
    cache_write: Option<&'a Exact>,
}

impl<'a> Tier<'a> {
    fn of(price: &'a Price, prompt_tokens: i64) -> Self {
        let tiered = |tiers: [(i64, &'a Option<Exact>); 3], base: &'a Option<Exact>| {
            let above = tiers.into_iter().find(|(limit, price)| prompt_tokens > *limit && above_zero(price.as_ref()));
            above.map_or(base, |(_, price)| price).as_ref()
        };
        let cached = |above: &'a Option<Exact>, base: &'a Option<Exact>| {
            if prompt_tokens > 200_000 && above_zero(above.as_ref()) { above.as_ref() } else { base.as_ref() }
        };
        Self {
            input: tiered(
                [
                    (272_000, &price.input_cost_per_token_above_272k_tokens),
                    (200_000, &price.input_cost_per_token_above_200k_tokens),
                    (128_000, &price.input_cost_per_token_above_128k_tokens),
                ],
                &price.input_cost_per_token,
            ),
            output: tiered(
                [
                    (272_000, &price.output_cost_per_token_above_272k_tokens),
                    (200_000, &price.output_cost_per_token_above_200k_tokens),
                    (128_000, &price.output_cost_per_token_above_128k_tokens),
                ],
                &price.output_cost_per_token,
            ),
            cache_read: cached(
                &price.cache_read_input_token_cost_above_200k_tokens,
                &price.cache_read_input_token_cost,
            ),
            cache_write: cached(
                &price.cache_creation_input_token_cost_above_200k_tokens,
                &price.cache_creation_input_token_cost,
            ),
        }
    }
}

/// What these counts cost at this price.
pub(super) fn cost(price: &Price, counts: &Counts<'_>) -> BigDecimal {
    match price.mode.as_deref() {
        Some("video_generation") if above_zero(price.output_cost_per_video_per_second.as_ref()) => {
            let seconds = counts.first(&["video_duration_seconds"]).max(0);
            return times(seconds, price.output_cost_per_video_per_second.as_ref());
        }
        Some("audio_speech") if above_zero(price.input_cost_per_character.as_ref()) => {
            let characters = counts.first(&["original_usage.input_characters", "input_characters"]).max(0);
            return times(characters, price.input_cost_per_character.as_ref());
        }
        _ => {}
    }
    let cached = above_zero(price.cache_creation_input_token_cost.as_ref())
        || above_zero(price.cache_read_input_token_cost.as_ref());
    match price.litellm_provider.as_str() {
        "openai" | "azure" | "xai" if cached => openai(price, counts),
        "anthropic" | "vertex_ai-anthropic_models" if cached => anthropic(
            price,
            counts,
            [
                "original_usage.input_tokens",
                "original_usage.output_tokens",
                "original_usage.cache_read_input_tokens",
                "original_usage.cache_creation_input_tokens",
            ],
        ),
        "bedrock" | "bedrock_converse" if cached => anthropic(
            price,
            counts,
            [
                "original_usage.inputTokens",
                "original_usage.outputTokens",
                "original_usage.cacheReadInputTokens",
                "original_usage.cacheWriteInputTokens",
            ],
        ),
        "vertex_ai-language-models" | "gemini" if cached => google(price, counts),
        _ => plain(price, counts),
    }
}

/// Tokens of sound, in and out.
fn audio(counts: &Counts<'_>) -> (i64, i64) {
    (
        counts.first(&["original_usage.prompt_tokens_details.audio_tokens", "prompt_tokens_details.audio_tokens"]),
        counts.first(&[
            "original_usage.completion_tokens_details.audio_tokens",
            "completion_tokens_details.audio_tokens",
        ]),
    )
}

/// Tokens that are left when those that are priced otherwise are taken away.
fn rest(all: i64, priced: bool, part: i64) -> i64 {
    if priced { (all - part).max(0) } else { all }
}

fn plain(price: &Price, counts: &Counts<'_>) -> BigDecimal {
    let (prompt, completion) = (counts.first(&["prompt_tokens"]), counts.first(&["completion_tokens"]));
    let (heard, spoken) = audio(counts);
    let (price_in, price_out) = (price.input_cost_per_audio_token.as_ref(), price.output_cost_per_audio_token.as_ref());
    let tier = Tier::of(price, prompt);
    times(rest(prompt, above_zero(price_in), heard), tier.input)
        + times(heard, price_in)
        + times(rest(completion, above_zero(price_out), spoken), tier.output)
        + times(spoken, price_out)
}

fn openai(price: &Price, counts: &Counts<'_>) -> BigDecimal {
    let prompt = counts.first(&["original_usage.prompt_tokens", "prompt_tokens"]);
    let completion = counts.first(&["original_usage.completion_tokens", "completion_tokens"]);
    let read = counts.first(&[
        "original_usage.prompt_tokens_details.cached_tokens",
        "original_usage.input_tokens_details.cached_tokens",
        "cache_read_input_tokens",
    ]);
    let (heard, spoken) = audio(counts);
    let (price_in, price_out) = (price.input_cost_per_audio_token.as_ref(), price.output_cost_per_audio_token.as_ref());
    let text = |names: [&str; 2]| names.iter().find_map(|name| counts.get(name));
    let text_in = text(["original_usage.prompt_tokens_details.text_tokens", "prompt_tokens_details.text_tokens"])
        .unwrap_or_else(|| rest((prompt - read).max(0), above_zero(price_in), heard));
    let text_out =
        text(["original_usage.completion_tokens_details.text_tokens", "completion_tokens_details.text_tokens"])
            .unwrap_or_else(|| rest(completion, above_zero(price_out), spoken));
    let tier = Tier::of(price, prompt);
    times(text_in, tier.input)
        + times(heard, price_in)
        + times(text_out, tier.output)
        + times(spoken, price_out)
        + times(read, tier.cache_read)
}

/// Providers that count what was cached apart from the prompt; `names` are theirs for input, output, read and written.
fn anthropic(price: &Price, counts: &Counts<'_>, names: [&str; 4]) -> BigDecimal {
    let [input, output, read, written] = names;
    let input = counts.first(&[input, "prompt_tokens"]);
    let output = counts.first(&[output, "completion_tokens"]);
    let read = counts.first(&[read, "cache_read_input_tokens"]);
    let written = counts.first(&[written, "cache_creation_input_tokens"]);
    let tier = Tier::of(price, input + read + written);
    times(input, tier.input)
        + times(output, tier.output)
        + times(written, tier.cache_write)
        + times(read, tier.cache_read)
}

fn google(price: &Price, counts: &Counts<'_>) -> BigDecimal {
    let prompt = counts.first(&["original_usage.prompt_token_count", "prompt_tokens"]);
    let read = counts.first(&["original_usage.cached_content_token_count", "cache_read_input_tokens"]);
    let input = if read > 0 { (prompt - read).max(0) } else { prompt };
    let output = counts.first(&["completion_tokens", "original_usage.candidates_token_count"]);
    let tier = Tier::of(price, input + read);
    times(input, tier.input) + times(output, tier.output) + times(read, tier.cache_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "prices are optional")]
    fn exact(text: &str) -> Option<Exact> {
        Some(Exact(text.parse().expect("a number")))
    }

    fn price(provider: &str) -> Price {
        Price {
            litellm_provider: provider.to_owned(),
            input_cost_per_token: exact("1"),
            output_cost_per_token: exact("10"),
            cache_read_input_token_cost: exact("0.1"),
            cache_creation_input_token_cost: exact("2"),
            ..Price::default()
        }
    }

    fn of(price: &Price, counts: &[(&str, i32)]) -> String {
        let usage = Usage(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect());
        cost(price, &Counts(&usage)).normalized().to_plain_string()
    }

    #[test]
    fn each_provider_counts_in_its_own_way() {
        let openai = price("openai");
        assert_eq!(
            of(&openai, &[("prompt_tokens", 100), ("completion_tokens", 5), ("cache_read_input_tokens", 40)]),
            "114"
        );
        let named =
            [("original_usage.prompt_tokens", 100), ("original_usage.prompt_tokens_details.cached_tokens", 100)];
        assert_eq!(of(&openai, &named), "10");
        assert_eq!(of(&openai, &[("prompt_tokens", 100), ("prompt_tokens_details.text_tokens", 7)]), "7");

        let counts = [
            ("prompt_tokens", 10),
            ("completion_tokens", 1),
            ("cache_read_input_tokens", 10),
            ("cache_creation_input_tokens", 3),
        ];
        assert_eq!(of(&price("anthropic"), &counts), "27");
        let counts = [
            ("original_usage.inputTokens", 10),
            ("original_usage.outputTokens", 1),
            ("original_usage.cacheWriteInputTokens", 3),
        ];
        assert_eq!(of(&price("bedrock_converse"), &counts), "26");

        let counts = [
            ("original_usage.prompt_token_count", 10),
            ("original_usage.cached_content_token_count", 4),
            ("completion_tokens", 1),
        ];
        assert_eq!(of(&price("gemini"), &counts), "16.4");
        assert_eq!(of(&price("gemini"), &[("prompt_tokens", 3), ("cache_read_input_tokens", 5)]), "0.5");

        // A price for what is cached changes nothing where the provider has no way of counting it.
        assert_eq!(of(&price("groq"), &[("prompt_tokens", 10), ("cache_read_input_tokens", 4)]), "10");
    }

    #[test]
    fn speech_and_video_go_by_characters_and_seconds() {
        let mut speech = price("openai");
        speech.mode = Some("audio_speech".to_owned());
        speech.input_cost_per_character = exact("0.5");
        assert_eq!(of(&speech, &[("input_characters", 10)]), "5");
        assert_eq!(of(&speech, &[("original_usage.input_characters", -1)]), "0");
        let mut video = price("openai");
        video.mode = Some("video_generation".to_owned());
        video.output_cost_per_video_per_second = exact("0.25");
        assert_eq!(of(&video, &[("video_duration_seconds", 8)]), "2");
    }

    #[test]
    fn long_prompts_cost_more_from_one_token_above() {
        let mut plain = price("mistral");
        plain.input_cost_per_token_above_128k_tokens = exact("2");
        plain.input_cost_per_token_above_200k_tokens = exact("3");
        plain.output_cost_per_token_above_200k_tokens = exact("20");
        for (prompt, wanted) in
            [(128_000, 128_010), (128_001, 256_012), (200_000, 400_010), (200_001, 600_023), (272_001, 816_023)]
        {
            assert_eq!(
                of(&plain, &[("prompt_tokens", prompt), ("completion_tokens", 1)]),
                wanted.to_string(),
                "{prompt}"
            );
        }
        let mut cached = price("anthropic");
        cached.cache_read_input_token_cost_above_200k_tokens = exact("1");
        assert_eq!(of(&cached, &[("cache_read_input_tokens", 200_000)]), "20000");
        assert_eq!(of(&cached, &[("cache_read_input_tokens", 200_001)]), "200001");
    }

    #[test]
    fn sound_is_priced_apart_and_never_below_nothing() {
        let mut audio = price("mistral");
        audio.input_cost_per_audio_token = exact("100");
        let counts = [("prompt_tokens", 10), ("prompt_tokens_details.audio_tokens", 4)];
        assert_eq!(of(&audio, &counts), "406");
        let counts = [("prompt_tokens", 3), ("original_usage.prompt_tokens_details.audio_tokens", 4)];
        assert_eq!(of(&audio, &counts), "400");
    }
}
