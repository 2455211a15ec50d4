//! The introspection service: what this proxy has programmed.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use ferrule_proto::v1::proxy_introspection_server::ProxyIntrospection;
use ferrule_proto::v1::{ListProgrammedRequest, ListProgrammedResponse, ProgrammedService};
use tonic::{Request, Response, Status};

use crate::objects::ServiceName;
use crate::ruleset::{Fragment, Programmed};

/// What is programmed, shared between the shell and the service. Clones are the same listing.
#[derive(Debug, Clone, Default)]
pub struct Listing(Arc<RwLock<BTreeMap<ServiceName, Arc<Fragment>>>>);

impl Listing {
    /// Says what a service contributes now; returns what it did before.
    pub fn set(
        &self,
        name: &ServiceName,
        fragment: Option<&Arc<Fragment>>,
    ) -> Option<Arc<Fragment>> {
        let mut listing = self
            .0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match fragment {
            Some(fragment) => listing.insert(name.clone(), fragment.clone()),
            None => listing.remove(name),
        }
    }

    fn shown(&self) -> Vec<ProgrammedService> {
        let listing = self
            .0
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let ports = listing.iter().flat_map(|(name, fragment)| {
            fragment
                .programmed
                .iter()
                .map(move |port| shown(name, port))
        });
        ports.collect()
    }
}

/// Serves `ferrule.v1.ProxyIntrospection`.
#[derive(Debug, Clone)]
pub struct Introspection {
    listing: Listing,
}

impl Introspection {
    /// A service that shows this listing.
    pub fn new(listing: Listing) -> Self {
        Self { listing }
    }
}

#[tonic::async_trait]
impl ProxyIntrospection for Introspection {
    async fn list_programmed(
        &self,
        _: Request<ListProgrammedRequest>,
    ) -> Result<Response<ListProgrammedResponse>, Status> {
        let services = self.listing.shown();
        Ok(Response::new(ListProgrammedResponse { services }))
    }
}

fn shown(service: &ServiceName, programmed: &Programmed) -> ProgrammedService {
    ProgrammedService {
        namespace: service.namespace.to_string(),
        name: service.name.to_string(),
        port_name: programmed.port_name.clone(),
        protocol: programmed.protocol.name().to_owned(),
        frontends: programmed.frontends.clone(),
        endpoints: programmed
            .endpoints
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Protocol;

    #[tokio::test]
    async fn what_is_programmed_is_listed() {
        let listing = Listing::default();
        let service = Introspection::new(listing.clone());
        let name = ServiceName {
            namespace: "default".into(),
            name: "kubernetes".into(),
        };
        let fragment = Arc::new(Fragment {
            programmed: vec![Programmed {
                port_name: "https".to_owned(),
                protocol: Protocol::Tcp,
                frontends: vec!["10.96.0.1:443".to_owned()],
                endpoints: vec!["172.30.0.2:6443".parse().unwrap()],
            }],
            ..Fragment::default()
        });
        listing.set(&name, Some(&fragment));
        let answer = service
            .list_programmed(Request::new(ListProgrammedRequest {}))
            .await;
        let [listed] = &answer.unwrap().into_inner().services[..] else {
            panic!("one")
        };
        assert_eq!(
            (&*listed.namespace, &*listed.name, &*listed.protocol),
            ("default", "kubernetes", "TCP")
        );
        assert_eq!(listed.endpoints, ["172.30.0.2:6443"]);
        listing.set(&name, None);
        assert!(listing.shown().is_empty());
    }
}
