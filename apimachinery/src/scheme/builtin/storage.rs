//! `storage.k8s.io`.

use super::{Group, STATUS, cluster, namespaced};

pub(super) const STORAGE: Group = Group {
    name: "storage.k8s.io",
    version: "v1",
    rows: &[
        cluster("csidrivers", "CSIDriver", "hL6j/rwBV5w="),
        cluster("csinodes", "CSINode", "Pe62DkZtjuo="),
        namespaced("csistoragecapacities", "CSIStorageCapacity", "xeVl+2Ly1kE="),
        cluster("storageclasses", "StorageClass", "K+m6uJwbjGY=").short(&["sc"]),
        cluster("volumeattachments", "VolumeAttachment", "tJx/ezt6UDU=").parts(&[STATUS]),
        cluster(
            "volumeattributesclasses",
            "VolumeAttributesClass",
            "tIjydgKBC5w=",
        )
        .short(&["vac"]),
    ],
};
