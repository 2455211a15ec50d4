//! The service `ferrule.v1.Discovery`.

use std::sync::Arc;

use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use ferrule_proto::v1;
use ferrule_proto::v1::discovery_server::Discovery;
use tonic::{Request, Response};

use super::to_grpc;
use crate::serve::Front;
use crate::serve::rest::version;

/// Says which resources exist, to everybody with an identity.
pub struct DiscoveryService(Arc<Front>);

impl DiscoveryService {
    pub(crate) fn new(front: Arc<Front>) -> DiscoveryService {
        DiscoveryService(front)
    }
}

fn known<T>(request: &Request<T>) -> Result<(), tonic::Status> {
    match request.extensions().get::<Identity>() {
        Some(_) => Ok(()),
        None => Err(to_grpc(Status::unauthorized())),
    }
}

#[tonic::async_trait]
impl Discovery for DiscoveryService {
    async fn list_resources(
        &self,
        request: Request<v1::ListResourcesRequest>,
    ) -> Result<Response<v1::ListResourcesResponse>, tonic::Status> {
        known(&request)?;
        let texts = |list: &[std::borrow::Cow<'static, str>]| {
            list.iter().map(ToString::to_string).collect()
        };
        let resources = self.0.api.scheme().iter().map(|resource| v1::ApiResource {
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            name: resource.plural.to_string(),
            singular_name: resource.singular.to_string(),
            kind: resource.kind.to_string(),
            namespaced: resource.namespaced,
            short_names: texts(&resource.short_names),
            categories: texts(&resource.categories),
            verbs: texts(&resource.verbs),
            subresources: resource
                .subresources
                .iter()
                .map(|own| own.name.to_string())
                .collect(),
        });
        Ok(Response::new(v1::ListResourcesResponse {
            resources: resources.collect(),
        }))
    }

    async fn get_open_api(
        &self,
        request: Request<v1::GetOpenApiRequest>,
    ) -> Result<Response<v1::GetOpenApiResponse>, tonic::Status> {
        known(&request)?;
        let documents = self.0.documents.v3().await.map_err(to_grpc)?;
        let document = documents.get(&request.get_ref().place);
        let document = document.ok_or_else(|| to_grpc(Status::no_such_resource()))?;
        Ok(Response::new(v1::GetOpenApiResponse {
            document: document.gzip.clone(),
            hash: document.etag.clone(),
        }))
    }

    async fn get_version(
        &self,
        request: Request<v1::GetVersionRequest>,
    ) -> Result<Response<v1::GetVersionResponse>, tonic::Status> {
        known(&request)?;
        let version = version();
        Ok(Response::new(v1::GetVersionResponse {
            major: version.major.to_owned(),
            minor: version.minor.to_owned(),
            git_version: version.git_version.to_owned(),
            git_commit: version.git_commit.to_owned(),
            build_date: version.build_date.to_owned(),
            platform: version.platform,
        }))
    }
}
