//! Continue tokens: the revision of a list and the key after which its next page starts.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use ferrule_apimachinery::status::Status;
use serde::{Deserialize, Serialize};

/// Where a list goes on, in upstream's form: base64 of `{"v":"meta.k8s.io/v1","rv":…,"start":…}`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    #[serde(rename = "v")]
    version: String,
    /// The revision of all pages.
    #[serde(rename = "rv")]
    pub revision: i64,
    /// The key of the last object sent: `<namespace>/<name>` or `<name>`.
    #[serde(rename = "start")]
    pub start: String,
}

const VERSION: &str = "meta.k8s.io/v1";

impl Token {
    /// After the object with this key.
    pub fn after(revision: i64, key: &str) -> Token {
        Token {
            version: VERSION.to_owned(),
            revision,
            start: key.to_owned(),
        }
    }

    /// The text that the client sends back.
    pub fn encode(&self) -> String {
        // The structure holds nothing that cannot be written.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads what a client sent.
    pub fn decode(text: &str) -> Result<Token, Status> {
        let invalid = |why: String| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        // As Go, which does not mind bits that are left over.
        let lenient = GeneralPurpose::new(
            &alphabet::URL_SAFE,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let bytes = lenient
            .decode(text)
            .map_err(|error| invalid(error.to_string()))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|error| {
            // Go names the first character that cannot begin a value.
            match bytes.first() {
                Some(first)
                    if !first.is_ascii() || !b" \t\r\n{[\"-0123456789tfn".contains(first) =>
                {
                    invalid(format!(
                        "invalid character '{}' looking for beginning of value",
                        char::from(*first)
                    ))
                }
                _ => invalid(error.to_string()),
            }
        })?;
        if token.version != VERSION {
            return Err(invalid(
                "server does not recognize this encoded version".to_owned(),
            ));
        }
        if token.revision <= 0 {
            return Err(invalid(
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned(),
            ));
        }
        if token.start.is_empty() {
            return Err(invalid(
                "encoded start key empty (version meta.k8s.io/v1)".to_owned(),
            ));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went() {
        let token = Token::after(7, "default/web");
        assert_eq!(Token::decode(&token.encode()).unwrap(), token);
    }

    #[test]
    fn rubbish_is_refused_in_upstreams_words() {
        assert_eq!(
            Token::decode("rubbish").unwrap_err().message,
            "invalid continue token: continue key is not valid: invalid character '®' looking for beginning of value"
        );
    }
}
