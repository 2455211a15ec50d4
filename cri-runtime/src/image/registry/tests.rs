//! Pulls from a registry in the same process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::*;

/// Serves fixed paths on loopback; with `token`, only to those who bring it.
async fn serve(content: HashMap<String, Vec<u8>>, token: Option<&'static str>) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let own = address.clone();
    let content = Arc::new(content);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let content = content.clone();
            let own = own.clone();
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let answer = answer(&request, &content, &own, token);
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn answer(
    request: &Request<Incoming>,
    content: &HashMap<String, Vec<u8>>,
    own: &str,
    token: Option<&str>,
) -> Response<Full<Bytes>> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let path = request.uri().path();
    let respond = |status: u16, body: Vec<u8>| {
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::from(body)))
            .expect("a response")
    };
    if path == "/token" {
        // The user's name and password, once.
        let allowed = header("authorization") == Some("Basic dTpw");
        let body = json!({"token": token}).to_string().into_bytes();
        return respond(if allowed { 200 } else { 401 }, body);
    }
    if let Some(token) = token
        && header("authorization") != Some(&format!("Bearer {token}"))
    {
        let mut response = respond(401, Vec::new());
        let challenge =
            format!("Bearer realm=\"http://{own}/token\",service=\"s\",scope=\"r:a:pull\"");
        response
            .headers_mut()
            .insert("www-authenticate", challenge.parse().expect("a header"));
        return response;
    }
    match content.get(path) {
        Some(body) => respond(200, body.clone()),
        None => respond(404, Vec::new()),
    }
}

fn image(layer: &[u8], served_layer: &[u8]) -> HashMap<String, Vec<u8>> {
    let digest = layer::digest;
    let config = json!({"config": {"Cmd": ["/x"]}, "rootfs": {"diff_ids": [digest(layer)]}});
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "config": {"digest": digest(&config), "size": config.len()},
        "layers": [{"digest": digest(layer), "size": layer.len()}],
    });
    let manifest = manifest.to_string().into_bytes();
    let architecture = crate::image::config::architecture();
    let list = json!({"manifests": [
        {"digest": digest(b"other"), "platform": {"os": "linux", "architecture": "s390x"}},
        {"digest": digest(&manifest), "platform": {"os": "linux", "architecture": architecture}},
    ]});
    HashMap::from([
        ("/v2/a/manifests/v1".into(), list.to_string().into_bytes()),
        (format!("/v2/a/manifests/{}", digest(&manifest)), manifest),
        (format!("/v2/a/blobs/{}", digest(&config)), config),
        (
            format!("/v2/a/blobs/{}", digest(layer)),
            served_layer.to_vec(),
        ),
    ])
}

fn layer_tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(5);
    builder
        .append_data(&mut header, "hello", &b"world"[..])
        .expect("in memory");
    builder.into_inner().expect("in memory")
}

async fn pull(address: &str, name: &str, auth: Option<&AuthConfig>) -> Result<(Image, Vec<u8>)> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(directory.path())?;
    let reference: Reference = format!("{address}/{name}").parse().expect("a reference");
    let image = Registry::new(Vec::new())
        .pull(&store, &reference, auth)
        .await?;
    let file = std::fs::read(store.layer(&image.layers[0]).join("hello"))?;
    Ok((image, file))
}

#[tokio::test]
async fn the_image_for_this_machine_is_pulled_through_a_list() {
    let tar = layer_tar();
    let address = serve(image(&tar, &tar), None).await;
    let (image, file) = pull(&address, "a:v1", None).await.expect("pulls");
    assert_eq!(file, b"world");
    assert_eq!(image.config.cmd, ["/x"]);
    assert!(image.tags.contains(&format!("{address}/a:v1")));
    assert_eq!(image.digests.len(), 1);
}

#[tokio::test]
async fn a_token_is_fetched_when_the_registry_asks_for_it() {
    let tar = layer_tar();
    let address = serve(image(&tar, &tar), Some("secret")).await;
    let auth = AuthConfig {
        username: "u".into(),
        password: "p".into(),
        ..Default::default()
    };
    pull(&address, "a:v1", Some(&auth)).await.expect("pulls");
    let error = pull(&address, "a:v1", None).await.expect_err("no user");
    assert!(error.to_string().contains("failed to authorize"), "{error}");
}

#[tokio::test]
async fn what_is_missing_or_forged_is_refused() {
    let tar = layer_tar();
    let mut forged = tar.clone();
    forged[600] ^= 1;
    let address = serve(image(&tar, &forged), None).await;
    let error = pull(&address, "a:v1", None).await.expect_err("forged");
    assert!(error.to_string().contains("has the digest"), "{error}");
    let error = pull(&address, "a:v2", None).await.expect_err("missing");
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert!(error.to_string().ends_with("a:v2: not found"), "{error}");
}
