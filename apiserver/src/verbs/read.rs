//! Get and list, from one immutable snapshot each.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::status::Status;

use super::paging::Token;
use super::{Answer, Api, Call, ListOptions, Target, errors, options};
use crate::resources;
use crate::store::{ReadAt, WatchFilter};

/// How long a read waits for a revision that is yet to come.
const FUTURE: Duration = Duration::from_secs(3);

/// A page of a list.
#[derive(Clone)]
pub struct Page {
    /// The objects.
    pub items: Vec<Arc<Stored>>,
    /// The revision of the list and of all its pages.
    pub revision: i64,
    /// Where to go on; `""` at the end.
    pub continue_token: String,
    /// How many objects come after this page, where that is known.
    pub remaining: Option<i64>,
}

impl Api {
    /// Reads an object, or its `scale`.
    pub async fn get(
        &self,
        call: &Call,
        target: &Target,
        resource_version: &str,
    ) -> Result<Answer, Status> {
        if !target.resource.is_kept() {
            let found = self.components(call, target).await?.items.pop();
            let found = found.ok_or_else(|| errors::not_found(&target.resource, &target.name))?;
            return Ok(Answer::object(found.bytes.clone(), 0));
        }
        let stored = self.get_stored(call, target, resource_version).await?;
        match target.subresource.as_str() {
            "" | "status" => {
                let bytes = stored.with_resource_version();
                let answer = Answer::object(bytes, stored.revision);
                self.shown(&target.resource, answer)
            }
            "scale" => self.scale_of(target, &stored),
            other if resources::rules_for(&target.resource).part(other).is_some() => {
                let bytes = stored.with_resource_version();
                Ok(Answer::object(bytes, stored.revision))
            }
            _ => Err(Status::method_not_allowed()),
        }
    }

    pub(super) async fn get_stored(
        &self,
        call: &Call,
        target: &Target,
        resource_version: &str,
    ) -> Result<Arc<Stored>, Status> {
        let at = match resource_version {
            "" => ReadAt::Latest,
            text => match options::parse_revision(text) {
                Ok(0) => ReadAt::Any,
                Ok(revision) => ReadAt::AtLeast(revision),
                Err(why) => {
                    return Err(Status::bare_error(format!(
                        "resourceVersion: Invalid value: {text:?}: {why}"
                    )));
                }
            },
        };
        let snapshot = self.read_waiting(target, at, call).await?;
        snapshot
            .get(&target.namespace, &target.name)
            .ok_or_else(|| errors::not_found(&target.resource, &target.name))
    }

    /// One page of a list.
    pub async fn list(
        &self,
        call: &Call,
        target: &Target,
        list: &ListOptions,
    ) -> Result<Page, Status> {
        list.check(false)?;
        if !target.resource.is_kept() {
            return self.components(call, target).await;
        }
        let selection = list.selection(&target.resource)?;
        let asked = list
            .revision()
            .map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))?;
        let limit = usize::try_from(list.limit).unwrap_or(0);
        let token = match list.continue_token.as_str() {
            "" => None,
            text => {
                if !matches!(list.resource_version.as_str(), "" | "0") {
                    return Err(Status::bad_request(
                        "specifying resource version is not allowed when using continue",
                    ));
                }
                Some(Token::decode(text)?)
            }
        };
        let at = match (
            &token,
            list.resource_version.as_str(),
            list.resource_version_match.as_str(),
        ) {
            (Some(token), _, _) => token.revision().map_or(ReadAt::Latest, ReadAt::Exact),
            (None, "", _) => ReadAt::Latest,
            (None, "0", _) => ReadAt::Any,
            (None, _, "Exact") => ReadAt::Exact(asked),
            // Of old, a limit at a revision means just that revision.
            (None, _, "") if limit > 0 => ReadAt::Exact(asked),
            (None, _, _) => ReadAt::AtLeast(asked),
        };
        let snapshot = match self.read_waiting(target, at, call).await {
            Err(status) if status.http_code() == 410 => {
                return Err(token.map_or(status, |token| token.expired()));
            }
            other => other?,
        };
        let namespace = Some(target.namespace.clone()).filter(|namespace| !namespace.is_empty());
        let after = token.as_ref().map(|token| token.start.as_str());
        let revision = token
            .as_ref()
            .and_then(Token::revision)
            .unwrap_or(snapshot.revision);
        let everything = selection.labels.is_everything() && selection.fields.is_everything();
        let resource = self.stored_form(&target.resource);
        let filter = WatchFilter {
            namespace,
            labels: selection.labels,
            fields: selection.fields,
        };
        let mut page = Page {
            items: Vec::new(),
            revision,
            continue_token: String::new(),
            remaining: None,
        };
        let mut last = None;
        let fetched = Cell::new(0);
        let mut objects = snapshot
            .candidates(resource, &filter, after)
            .inspect(|_| fetched.set(fetched.get() + 1))
            .filter(|(_, stored)| everything || filter.matches(resource, &stored.header));
        for (key, stored) in objects.by_ref() {
            if limit > 0 && page.items.len() == limit {
                page.continue_token = Token::after(revision, last.unwrap_or_default()).encode();
                if everything {
                    page.remaining = i64::try_from(objects.count() + 1).ok();
                }
                break;
            }
            page.items.push(match target.resource.is_stored_form() {
                true => stored.clone(),
                false => Arc::new(self.shown_stored(&target.resource, stored)?),
            });
            last = Some(&**key);
        }
        let store = &self.0.store;
        store.listed(&target.resource, fetched.get(), page.items.len());
        Ok(page)
    }

    /// A read that waits only a little for a revision that is yet to come.
    async fn read_waiting(
        &self,
        target: &Target,
        at: ReadAt,
        call: &Call,
    ) -> Result<crate::store::Snapshot, Status> {
        let soon = tokio::time::Instant::now() + FUTURE;
        let deadline = match at {
            ReadAt::AtLeast(_) | ReadAt::Exact(_) => call.store_deadline().min(soon),
            ReadAt::Any | ReadAt::Latest => call.store_deadline(),
        };
        let read = self.0.store.read(&target.resource, at, deadline).await;
        read.map_err(errors::of_store)
    }
}
