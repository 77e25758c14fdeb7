//! The address by which an SDK reaches the server, as it tells it: in base64.

use axum::http::Uri;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::ApiError;

/// Reads an address.
pub(super) fn read(encoded: &str) -> Result<Uri, ApiError> {
    decoded(encoded).ok_or_else(|| ApiError::BadRequest {
        message: "Invalid base URL format".to_owned(),
        details: Some("path: expected the address of the server, in base64".to_owned()),
        violation: None,
    })
}

fn decoded(encoded: &str) -> Option<Uri> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |alphabet| GeneralPurpose::new(alphabet, ANY_PADDING).decode(encoded).ok();
    let address = String::from_utf8(decode(&URL_SAFE).or_else(|| decode(&STANDARD))?).ok()?;
    let address: Uri = address.parse().ok()?;
    matches!(address.scheme_str(), Some("http" | "https")).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_web_in_either_base64() {
        let encode = |text: &str| GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new()).encode(text);
        for (address, fine) in [
            ("http://localhost:5173/api", true),
            ("https://example.com", true),
            ("https://example.com/\\evil.com", true),
            ("ftp://example.com", false),
            ("javascript:alert(1)", false),
            ("/api", false),
            ("", false),
        ] {
            assert_eq!(decoded(&encode(address)).is_some(), fine, "{address}");
        }
        let without_padding = decoded("aHR0cDovL2xvY2FsaG9zdDo1MTczL2FwaQ").expect("an address");
        assert_eq!(without_padding, "http://localhost:5173/api");
        assert!(decoded("aHR0cDovL2E/Yj1_").is_none(), "of both alphabets");
        assert_eq!(decoded("aHR0cDovL2EvP2I=").expect("an address"), decoded("aHR0cDovL2EvP2I").expect("an address"));
        assert!(decoded("not base64!").is_none());
    }
}
