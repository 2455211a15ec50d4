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
    /// The revision of all pages; less than 0 to go on with whatever is there by now.
    #[serde(rename = "rv")]
    pub revision: i64,
    /// The key of the last object sent: `<namespace>/<name>` or `<name>`.
    #[serde(rename = "start")]
    pub start: String,
}

const VERSION: &str = "meta.k8s.io/v1";

/// In place of a revision that is gone: whatever is there by now.
const ANY: i64 = -1;

impl Token {
    /// After the object with this key.
    pub fn after(revision: i64, key: &str) -> Token {
        Token {
            version: VERSION.to_owned(),
            revision,
            start: key.to_owned(),
        }
    }

    /// The revision of the pages, or none when they need not be of one.
    pub fn revision(&self) -> Option<i64> {
        (self.revision > 0).then_some(self.revision)
    }

    /// 410 for a list that took too long from page to page, with a token to go on nevertheless.
    pub fn expired(&self) -> Status {
        let mut status = Status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
             that were created, modified, or deleted between the time the first chunk was returned and now may show \
             up in the list.",
        );
        status.continue_token = Some(Token::after(ANY, &self.start).encode().into());
        status
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
            return Err(invalid(format!(
                "server does not recognize this encoded version {}",
                token.version
            )));
        }
        if token.revision == 0 {
            return Err(invalid(
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned(),
            ));
        }
        if token.start.is_empty() {
            return Err(invalid(
                "encoded start key empty (version meta.k8s.io/v1)".to_owned(),
            ));
        }
        let steps_out = |step: &str| matches!(step, "" | "." | "..");
        if token
            .start
            .trim_start_matches('/')
            .split('/')
            .any(steps_out)
        {
            return Err(invalid(token.start));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_token_or_is_not(text in any::<String>(), json in "[{}\"vrstar:,0-9./-]{0,40}") {
            let _ = Token::decode(&text);
            let _ = Token::decode(&URL_SAFE_NO_PAD.encode(json));
        }
    }

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

    #[test]
    fn tokens_that_lead_nowhere_are_refused_in_upstreams_words() {
        for (json, why) in [
            (
                r#"{"v":"v2","rv":1,"start":"a"}"#,
                "server does not recognize this encoded version v2",
            ),
            (
                r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#,
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#,
                "encoded start key empty (version meta.k8s.io/v1)",
            ),
            (r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}"#, "../a"),
        ] {
            let refusal = Token::decode(&URL_SAFE_NO_PAD.encode(json)).unwrap_err();
            let expected = format!("invalid continue token: continue key is not valid: {why}");
            assert_eq!(refusal.message, expected);
        }
    }

    #[test]
    fn a_list_that_took_too_long_can_go_on() {
        let status = Token::after(7, "default/web").expired();
        assert_eq!(status.http_code(), 410);
        let token = Token::decode(&status.continue_token.unwrap()).unwrap();
        assert_eq!(
            (token.revision(), token.start.as_str()),
            (None, "default/web")
        );
    }
}
