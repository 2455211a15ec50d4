//! What a registry asks for before it answers.

use std::collections::BTreeMap;

use ::http::{HeaderMap, StatusCode, header};
use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use k8s_cri::v1::AuthConfig;
use serde::Deserialize;

use super::http::{Client, Url};
use crate::error::{Error, Result};

/// Who pulls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
    token: String,
}

/// The `WWW-Authenticate` header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Credentials {
    /// From the kubelet's words.
    pub fn from_cri(auth: Option<&AuthConfig>) -> Credentials {
        let Some(auth) = auth else {
            return Credentials::default();
        };
        let mut credentials = Credentials {
            user: auth.username.clone(),
            password: auth.password.clone(),
            token: auth.registry_token.clone(),
        };
        if credentials.user.is_empty()
            && let Ok(decoded) = STANDARD.decode(&auth.auth)
            && let Some((user, password)) = String::from_utf8_lossy(&decoded).split_once(':')
        {
            credentials.user = user.to_owned();
            credentials.password = password.trim_end_matches('\0').to_owned();
        }
        credentials
    }

    fn basic(&self) -> Option<String> {
        let pair = format!("{}:{}", self.user, self.password);
        (!self.user.is_empty()).then(|| format!("Basic {}", STANDARD.encode(pair)))
    }
}

/// The challenge in the headers; bearer is preferred where several are offered.
pub fn challenge(headers: &HeaderMap) -> Challenge {
    let all: Vec<Challenge> = headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(parse)
        .collect();
    all.iter()
        .find(|challenge| challenge.scheme == "bearer")
        .or(all.first())
        .cloned()
        .unwrap_or_default()
}

fn parse(text: &str) -> Challenge {
    let (scheme, mut rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut parameters = BTreeMap::new();
    while let Some((key, tail)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => tail.split_once(',').unwrap_or((tail, "")),
        };
        parameters.insert(key, value.to_owned());
        rest = tail;
    }
    Challenge {
        scheme: scheme.to_ascii_lowercase(),
        parameters,
    }
}

/// The `Authorization` header that meets the challenge.
pub async fn answer(
    client: &Client,
    challenge: &Challenge,
    credentials: &Credentials,
    registry: &Url,
) -> Result<String> {
    match challenge.scheme.as_str() {
        "basic" => credentials
            .basic()
            .ok_or_else(|| anyhow!("the registry asks for a user and a password").into()),
        "bearer" if !credentials.token.is_empty() => Ok(format!("Bearer {}", credentials.token)),
        "bearer" => fetch(client, challenge, credentials, registry).await,
        other => Err(anyhow!("the registry asks for {other:?} authorization").into()),
    }
}

async fn fetch(
    client: &Client,
    challenge: &Challenge,
    credentials: &Credentials,
    registry: &Url,
) -> Result<String> {
    const MAX_TOKEN: usize = 1 << 20;
    let realm = challenge
        .parameters
        .get("realm")
        .ok_or_else(|| anyhow!("the registry names no token server"))?;
    let mut url: Url = realm.parse().map_err(Error::Internal)?;
    if registry.tls && !url.tls {
        return Err(anyhow!("the token server {realm} would be asked without TLS").into());
    }
    let mut separator = if url.path.contains('?') { '&' } else { '?' };
    for name in ["service", "scope"] {
        if let Some(value) = challenge.parameters.get(name) {
            url.path += &format!("{separator}{name}={}", encode(value));
            separator = '&';
        }
    }
    let response = client
        .get(&url, "application/json", credentials.basic())
        .await?;
    if response.status() != StatusCode::OK {
        return Err(anyhow!(
            "failed to authorize: failed to fetch oauth token: unexpected status: {}",
            response.status()
        )
        .into());
    }
    let body = Limited::new(response.into_body(), MAX_TOKEN)
        .collect()
        .await
        .map_err(|error| anyhow!("read the token: {error}"))?
        .to_bytes();
    let token: Token = serde_json::from_slice(&body)?;
    let token = if token.token.is_empty() {
        token.access_token
    } else {
        token.token
    };
    if token.is_empty() {
        return Err(anyhow!("the token server gave no token").into());
    }
    Ok(format!("Bearer {token}"))
}

fn encode(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_with_commas_in_quotes() {
        let challenge = parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(challenge.scheme, "bearer");
        assert_eq!(challenge.parameters["scope"], "repository:a/b:pull,push");
        assert_eq!(challenge.parameters["service"], "registry.docker.io");
        assert_eq!(parse("Basic realm=x").parameters["realm"], "x");
    }

    #[test]
    fn credentials_come_in_two_forms() {
        let pair = AuthConfig {
            username: "u".into(),
            password: "p".into(),
            ..Default::default()
        };
        let encoded = AuthConfig {
            auth: STANDARD.encode("u:p"),
            ..Default::default()
        };
        assert_eq!(
            Credentials::from_cri(Some(&pair)),
            Credentials::from_cri(Some(&encoded))
        );
        assert_eq!(
            Credentials::from_cri(Some(&pair)).basic().as_deref(),
            Some("Basic dTpw")
        );
    }
}
