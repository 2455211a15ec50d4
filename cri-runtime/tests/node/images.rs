//! The image store through CRI and through the command.

use std::process::Command;

use k8s_cri::v1::*;

use crate::harness::{IMAGE, Node, shell};

fn spec(name: &str) -> Option<ImageSpec> {
    Some(ImageSpec {
        image: name.into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn images_are_imported_listed_aliased_and_removed() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let list = |node: &mut Node| {
        let mut images = node.images.clone();
        async move {
            let request = ListImagesRequest::default();
            images
                .list_images(request)
                .await
                .expect("a list")
                .into_inner()
                .images
        }
    };
    let images = list(&mut node).await;
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].repo_tags, [IMAGE]);

    // Another process imports; the server sees it at once.
    let status = Command::new(env!("CARGO_BIN_EXE_cri-runtime"))
        .args([
            "image",
            "import",
            "--name",
            "ferrule.local/echo:v1",
            "--root",
        ])
        .arg(node.path("root"))
        .arg(node.path("images/busybox.tar"))
        .status()
        .expect("runs");
    assert!(status.success());
    let images = list(&mut node).await;
    assert_eq!(images[0].repo_tags, [IMAGE, "ferrule.local/echo:v1"]);

    // A name that is not there is looked up in the alias table.
    let status = |node: &mut Node, name: &'static str| {
        let mut images = node.images.clone();
        async move {
            let request = ImageStatusRequest {
                image: spec(name),
                verbose: false,
            };
            images
                .image_status(request)
                .await
                .expect("a status")
                .into_inner()
                .image
        }
    };
    assert!(status(&mut node, "sysnet4admin/echo-hname").await.is_none());
    let table = "sysnet4admin/echo-hname: ferrule.local/echo:v1\n";
    std::fs::write(node.path("aliases.yaml"), table).expect("writable");
    assert!(status(&mut node, "sysnet4admin/echo-hname").await.is_some());
    let pulled = node
        .images
        .pull_image(PullImageRequest {
            image: spec("sysnet4admin/echo-hname"),
            ..Default::default()
        })
        .await
        .expect("the alias is there")
        .into_inner();
    assert_eq!(pulled.image_ref, images[0].id);
    // An imported image stands for its name: nothing is asked of a registry.
    let request = PullImageRequest {
        image: spec("busybox"),
        ..Default::default()
    };
    let pulled = node
        .images
        .pull_image(request)
        .await
        .expect("is here")
        .into_inner();
    assert_eq!(pulled.image_ref, images[0].id);

    // A container keeps its layers when its image is removed.
    let pod = node.pod("image");
    let sandbox = node.run(&pod).await;
    let mut config = shell("main", "sleep 1000");
    config.image = spec("sysnet4admin/echo-hname");
    let id = node.start_container(&pod, &sandbox, config).await;
    assert_eq!(node.status(&id).await.image_id, images[0].id);
    let remove = RemoveImageRequest { image: spec(IMAGE) };
    node.images.remove_image(remove).await.expect("is removed");
    assert!(list(&mut node).await.is_empty());
    assert_eq!(node.exec(&id, "echo still here").await.exit_code, 0);
    node.remove(&sandbox).await;
    let info = node
        .images
        .image_fs_info(ImageFsInfoRequest {})
        .await
        .expect("figures")
        .into_inner();
    assert_eq!(info.image_filesystems.len(), 1);
}
