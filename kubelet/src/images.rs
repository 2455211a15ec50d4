//! Images on the node: whether one is there, pulling it, and waiting after failures.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ferrule_apimachinery::duration;
use ferrule_client::EventType;
use jiff::{SignedDuration, Timestamp};
use k8s_cri::v1::{self as cri};
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::Value;

use crate::context::PodContext;
use crate::image::{PullPolicy, pull_policy, registry, with_tag};
use crate::objects::Kind;
use crate::pod::backoff::BackOff;
use crate::pod::{Failure, spec};

/// An image that is on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// How the runtime calls it.
    pub id: String,
    /// Its user, where that is a number.
    pub user: Option<i64>,
}

/// The state of pulling, for all pods.
#[derive(Debug, Default)]
pub struct Images {
    waiting: Mutex<HashMap<(String, String), (BackOff, String)>>,
}

/// How soon a pod says that it waits, after a pull failed.
const REPORT: SignedDuration = SignedDuration::from_secs(3);
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

fn failure(reason: &str, message: String, retry_at: Timestamp) -> Failure {
    Failure {
        reason: reason.to_owned(),
        message,
        retry_at,
    }
}

impl Images {
    /// Sees to it that the image of a container is on the node.
    pub async fn ensure(
        &self,
        context: &PodContext,
        container: &Container,
    ) -> Result<Present, Failure> {
        let (kubelet, pod) = (&context.kubelet, &*context.pod);
        let named = container.image.as_deref().unwrap_or_default();
        let event = |kind, reason: &str, message: String| {
            kubelet.container_event(pod, &container.name, kind, reason, message);
        };
        let now = Timestamp::now();
        let image = with_tag(named).map_err(|error| {
            let message = format!("Failed to apply default image tag {named:?}: {error}");
            event(EventType::Warning, "InspectFailed", message.clone());
            failure("InvalidImageName", message, now + AGAIN)
        })?;
        let present = inspect(context, &image).await.map_err(|error| {
            let message = format!("Failed to inspect image {named:?}: {error}");
            event(EventType::Warning, "InspectFailed", message.clone());
            failure("ImageInspectError", message, now + AGAIN)
        })?;
        let policy = pull_policy(container);
        match (policy, present) {
            (PullPolicy::Never, None) => {
                let message =
                    format!("Container image {named:?} is not present with pull policy of Never");
                event(EventType::Warning, "ErrImageNeverPull", message.clone());
                return Err(failure("ErrImageNeverPull", message, now + AGAIN));
            }
            (PullPolicy::Never | PullPolicy::IfNotPresent, Some((present, _))) => {
                let message = format!(
                    "Container image {named:?} already present on machine and can be accessed by the pod"
                );
                event(EventType::Normal, "Pulled", message);
                return Ok(present);
            }
            _ => {}
        }
        let key = (spec::uid(pod).to_owned(), named.to_owned());
        if let Some((until, error)) = self.waits(&key, now) {
            let message = format!("Back-off pulling image {named:?}");
            event(EventType::Normal, "BackOff", message.clone());
            event(
                EventType::Warning,
                "Failed",
                "Error: ImagePullBackOff".to_owned(),
            );
            let message = format!("{message}: ErrImagePull: {error}");
            return Err(failure("ImagePullBackOff", message, until));
        }
        event(
            EventType::Normal,
            "Pulling",
            format!("Pulling image {named:?}"),
        );
        let began = Instant::now();
        match pull(context, container, &image).await {
            Ok((present, size)) => {
                self.forget(&key);
                let took = go_duration(began.elapsed());
                let message = format!(
                    "Successfully pulled image {named:?} in {took} ({took} including waiting). Image size: {size} bytes."
                );
                event(EventType::Normal, "Pulled", message);
                Ok(present)
            }
            Err(error) => {
                event(
                    EventType::Warning,
                    "Failed",
                    format!("Failed to pull image {named:?}: {error}"),
                );
                event(
                    EventType::Warning,
                    "Failed",
                    "Error: ErrImagePull".to_owned(),
                );
                let now = Timestamp::now();
                self.wait(key, &error, now);
                Err(failure("ErrImagePull", error, now + REPORT))
            }
        }
    }

    fn waits(&self, key: &(String, String), now: Timestamp) -> Option<(Timestamp, String)> {
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let (entry, error) = waiting.get(key)?;
        Some((entry.until(entry.since, now)?, error.clone()))
    }

    fn wait(&self, key: (String, String), error: &str, now: Timestamp) {
        let mut waiting = self
            .waiting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = waiting.get(&key).map(|(entry, _)| *entry);
        waiting.insert(key, (BackOff::next(before, now, now), error.to_owned()));
    }

    fn forget(&self, key: &(String, String)) {
        self.waiting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .remove(key);
    }

    /// Forgets what is known about the images of a pod.
    pub fn forget_pod(&self, uid: &str) {
        let mut waiting = self
            .waiting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        waiting.retain(|(own, _), _| own != uid);
    }
}

async fn inspect(
    context: &PodContext,
    image: &str,
) -> Result<Option<(Present, u64)>, crate::cri::CriError> {
    let spec = cri::ImageSpec {
        image: image.to_owned(),
        ..cri::ImageSpec::default()
    };
    let request = cri::ImageStatusRequest {
        image: Some(spec),
        verbose: false,
    };
    let found = context.kubelet.cri.image_status(request).await?.image;
    Ok(found.filter(|image| !image.id.is_empty()).map(|image| {
        let named = (!image.username.is_empty())
            .then(|| image.username.parse().ok())
            .flatten();
        let user = image
            .uid
            .map(|uid| uid.value)
            .or(named)
            .or(image.username.is_empty().then_some(0));
        (Present { id: image.id, user }, image.size)
    }))
}

async fn pull(
    context: &PodContext,
    container: &Container,
    image: &str,
) -> Result<(Present, u64), String> {
    let credentials = credentials(context, &context.pod, image).await;
    let mut last = String::new();
    // Each matching credential in turn; without any, nobody.
    let tries: Vec<Option<cri::AuthConfig>> = if credentials.is_empty() {
        vec![None]
    } else {
        credentials.into_iter().map(Some).collect()
    };
    for auth in tries {
        let spec = cri::ImageSpec {
            image: image.to_owned(),
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..cri::ImageSpec::default()
        };
        let request = cri::PullImageRequest {
            image: Some(spec),
            auth,
            sandbox_config: None,
        };
        match context.kubelet.cri.pull_image(request).await {
            Ok(answer) => {
                return match inspect(context, image).await {
                    Ok(Some(found)) => Ok(found),
                    _ => Ok((
                        Present {
                            id: answer.image_ref,
                            user: None,
                        },
                        0,
                    )),
                };
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

async fn credentials(context: &PodContext, pod: &Pod, image: &str) -> Vec<cri::AuthConfig> {
    let mut found = Vec::new();
    let secrets = spec::of(pod).and_then(|spec| spec.image_pull_secrets.as_ref());
    for reference in secrets.into_iter().flatten() {
        match context.objects.read(Kind::Secret, &reference.name).await {
            Ok(Some(data)) => found.extend(from_secret(&data, registry(image))),
            Ok(None) | Err(_) => {
                let message = format!(
                    "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                    reference.name
                );
                context.kubelet.pod_event(
                    pod,
                    EventType::Warning,
                    "FailedToRetrieveImagePullSecret",
                    message,
                );
            }
        }
    }
    found
}

/// The credentials for `registry` in a Secret of one of the two Docker formats.
fn from_secret(
    data: &std::collections::BTreeMap<String, Vec<u8>>,
    registry: &str,
) -> Vec<cri::AuthConfig> {
    let parse = |key: &str| {
        data.get(key)
            .and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
    };
    let auths = match parse(".dockerconfigjson") {
        Some(config) => config["auths"].clone(),
        None => parse(".dockercfg").unwrap_or(Value::Null),
    };
    let entries = auths.as_object().into_iter().flatten();
    entries
        .filter(|(host, _)| {
            let host = host
                .trim_start_matches("https://")
                .trim_start_matches("http://");
            let host = host.split('/').next().unwrap_or_default();
            host == registry || (registry == "docker.io" && host.ends_with("docker.io"))
        })
        .map(|(_, entry)| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let decoded = BASE64_STANDARD
                .decode(text("auth"))
                .ok()
                .and_then(|own| String::from_utf8(own).ok());
            let (username, password) = match decoded.as_deref().and_then(|own| own.split_once(':'))
            {
                Some((username, password)) => (username.to_owned(), password.to_owned()),
                None => (text("username"), text("password")),
            };
            cri::AuthConfig {
                username,
                password,
                identity_token: text("identitytoken"),
                registry_token: text("registrytoken"),
                ..cri::AuthConfig::default()
            }
        })
        .collect()
}

/// A duration as Go prints it, without what is less than a millisecond: `350ms`, `1.234s`, `1m2.5s`.
fn go_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    duration::format(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_taken_for_the_registry_of_the_image() {
        let config = json!({"auths": {
            "https://index.docker.io/v1/": {"auth": BASE64_STANDARD.encode("ann:secret")},
            "r.example:5000": {"username": "bob", "password": "pw"},
        }});
        let data = [(
            ".dockerconfigjson".to_owned(),
            config.to_string().into_bytes(),
        )]
        .into();
        for (registry, expected) in [
            ("docker.io", Some(("ann", "secret"))),
            ("r.example:5000", Some(("bob", "pw"))),
            ("other", None),
        ] {
            let found = from_secret(&data, registry);
            let own = found
                .first()
                .map(|own| (own.username.as_str(), own.password.as_str()));
            assert_eq!(own, expected, "{registry}");
        }
    }

    #[test]
    fn durations_read_as_go_prints_them() {
        for (millis, text) in [
            (350, "350ms"),
            (1234, "1.234s"),
            (2000, "2s"),
            (62_500, "1m2.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }
}
