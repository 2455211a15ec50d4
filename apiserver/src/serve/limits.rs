//! Limits on requests in flight.

use std::sync::Arc;

use ferrule_apimachinery::status::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests; watches, logs and exec need none.
pub struct InFlight {
    reading: Arc<Semaphore>,
    mutating: Arc<Semaphore>,
    places: (usize, usize),
}

impl InFlight {
    /// So many places.
    pub fn new(reading: usize, mutating: usize) -> InFlight {
        InFlight {
            reading: Arc::new(Semaphore::new(reading)),
            mutating: Arc::new(Semaphore::new(mutating)),
            places: (reading, mutating),
        }
    }

    /// How many requests are reading and how many are writing.
    pub fn busy(&self) -> (usize, usize) {
        let taken =
            |places: usize, free: &Semaphore| places.saturating_sub(free.available_permits());
        let (reading, mutating) = self.places;
        (
            taken(reading, &self.reading),
            taken(mutating, &self.mutating),
        )
    }

    /// A place for a request, given back when dropped; 429 when there is none.
    pub fn enter(&self, verb: &str) -> Result<OwnedSemaphorePermit, Status> {
        let places = match verb {
            "get" | "list" => &self.reading,
            _ => &self.mutating,
        };
        places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Status::too_many_requests("Too many requests, please try again later.", 1))
    }
}
