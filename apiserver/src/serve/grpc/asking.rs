//! What every message of a verb says: the resource, and whether anything is to be written.

use ferrule_proto::v1;

/// A message that asks for a verb.
pub(super) trait Asking {
    /// Takes out what is asked about.
    fn resource(&mut self) -> Option<v1::ResourceRef>;

    /// Whether nothing is to be written.
    fn is_dry_run(&self) -> bool {
        false
    }

    /// Whether it is an apply, which is named like a patch.
    fn is_apply(&self) -> bool {
        false
    }
}

impl Asking for v1::GetRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }
}

impl Asking for v1::ListRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }
}

impl Asking for v1::CreateRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }

    fn is_dry_run(&self) -> bool {
        self.options.as_ref().is_some_and(|own| own.dry_run)
    }
}

impl Asking for v1::UpdateRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }

    fn is_dry_run(&self) -> bool {
        self.options.as_ref().is_some_and(|own| own.dry_run)
    }
}

impl Asking for v1::PatchRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }

    fn is_dry_run(&self) -> bool {
        self.options.as_ref().is_some_and(|own| own.dry_run)
    }

    fn is_apply(&self) -> bool {
        self.r#type == v1::PatchType::PatchApply as i32
    }
}

/// Its options are a body, of which upstream's metrics know nothing either.
impl Asking for v1::DeleteRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }
}

impl Asking for v1::DeleteCollectionRequest {
    fn resource(&mut self) -> Option<v1::ResourceRef> {
        self.resource.take()
    }
}
