//! CRI's `ImageService`.

use std::sync::Arc;

use k8s_cri::v1::image_service_server::ImageService;
use k8s_cri::v1::{
    ImageFsInfoRequest, ImageFsInfoResponse, ImageSpec, ImageStatusRequest, ImageStatusResponse,
    ListImagesRequest, ListImagesResponse, PullImageRequest, PullImageResponse, RemoveImageRequest,
    RemoveImageResponse,
};
use tonic::{Request, Response, Status};

use super::{Runtime, status};
use crate::error::{Error, Result};
use crate::image::store::Image;
use crate::image::{Reference, archive};

/// The service over the runtime.
pub struct Images(pub Arc<Runtime>);

impl Runtime {
    /// The image of that name, or the one that stands in for it.
    pub(super) fn find_image(&self, name: &str) -> Result<Option<Image>> {
        if name.is_empty() {
            return Err(Error::Invalid("no image was named".to_owned()));
        }
        if let Some(image) = self.images.find(name)? {
            return Ok(Some(image));
        }
        match self.aliases.resolve(name) {
            Some(local) => self.images.find(&local),
            None => Ok(None),
        }
    }

    /// The image that is used in place of a pull: one that was imported under the name, or the alias of a
    /// name that is not there.
    fn local_image(&self, name: &str, reference: &Reference) -> Result<Option<Image>> {
        match self.images.find(name)? {
            None => self.find_image(name),
            Some(image) => {
                let imported = reference
                    .tagged()
                    .is_some_and(|tag| image.imported.contains(&tag));
                Ok(imported.then_some(image))
            }
        }
    }

    fn show(&self, image: &Image) -> k8s_cri::v1::Image {
        k8s_cri::v1::Image {
            pinned: self.images.is_pinned(&image.id),
            ..status::image(image)
        }
    }

    /// Imports the archives of the image directory.
    pub(super) async fn import_directory(&self) {
        let mut files: Vec<_> = std::fs::read_dir(&self.options.image_directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.to_string_lossy();
                name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz")
            })
            .collect();
        files.sort();
        for path in files {
            let store = self.images.clone();
            let file = path.clone();
            let import = move || {
                if store.knows_archive(&file)? {
                    return Ok(Vec::new());
                }
                let images = archive::import(&store, &file, None)?;
                store.note_archive(&file, &images)?;
                Ok(images)
            };
            let result = tokio::task::spawn_blocking(import)
                .await
                .map_err(|error| Error::Internal(error.into()))
                .and_then(|result| result);
            match result {
                Ok(images) if images.is_empty() => {}
                Ok(images) => {
                    tracing::info!(path = %path.display(), count = images.len(), "imported images");
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "cannot import an archive");
                }
            }
        }
    }
}

fn name_of(image: Option<ImageSpec>) -> Result<String> {
    image
        .map(|image| image.image)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Error::Invalid("no image was named".to_owned()))
}

#[tonic::async_trait]
impl ImageService for Images {
    async fn list_images(
        &self,
        request: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        let wanted = request
            .into_inner()
            .filter
            .and_then(|filter| filter.image)
            .map(|image| image.image)
            .unwrap_or_default();
        let images = if wanted.is_empty() {
            self.0.images.list()?
        } else {
            self.0.images.find(&wanted)?.into_iter().collect()
        };
        Ok(Response::new(ListImagesResponse {
            images: images.iter().map(|image| self.0.show(image)).collect(),
        }))
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Result<Response<ImageStatusResponse>, Status> {
        let request = request.into_inner();
        let name = name_of(request.image)?;
        let image = self.0.find_image(&name)?;
        let mut info = std::collections::HashMap::new();
        if let (Some(image), true) = (&image, request.verbose)
            && let Ok(config) = self.0.images.config_blob(&image.id)
        {
            info.insert(
                "info".to_owned(),
                format!(r#"{{"imageSpec":{}}}"#, String::from_utf8_lossy(&config)),
            );
        }
        Ok(Response::new(ImageStatusResponse {
            image: image.as_ref().map(|image| self.0.show(image)),
            info,
        }))
    }

    async fn pull_image(
        &self,
        request: Request<PullImageRequest>,
    ) -> Result<Response<PullImageResponse>, Status> {
        let request = request.into_inner();
        let name = name_of(request.image)?;
        let reference: Reference =
            name.parse()
                .map_err(|error: crate::image::reference::InvalidReference| {
                    Error::Invalid(error.to_string())
                })?;
        if let Some(image) = self.0.local_image(&name, &reference)? {
            return Ok(Response::new(PullImageResponse {
                image_ref: image.id,
            }));
        }
        let image = self
            .0
            .registry
            .pull(&self.0.images, &reference, request.auth.as_ref())
            .await?;
        Ok(Response::new(PullImageResponse {
            image_ref: image.digests.first().unwrap_or(&image.id).clone(),
        }))
    }

    async fn remove_image(
        &self,
        request: Request<RemoveImageRequest>,
    ) -> Result<Response<RemoveImageResponse>, Status> {
        let name = name_of(request.into_inner().image)?;
        let runtime = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let in_use = runtime.layers_in_use();
            runtime.images.remove(&name, &in_use)
        })
        .await
        .map_err(|error| Status::internal(error.to_string()))??;
        Ok(Response::new(RemoveImageResponse {}))
    }

    async fn image_fs_info(
        &self,
        _request: Request<ImageFsInfoRequest>,
    ) -> Result<Response<ImageFsInfoResponse>, Status> {
        let runtime = self.0.clone();
        let info = tokio::task::spawn_blocking(move || runtime.image_fs_info())
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(info))
    }
}
