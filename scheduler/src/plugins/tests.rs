//! Tables over the plugins, as upstream's unit tests cover them.

mod affinity;
mod nodes;
mod resources;
mod spread;
mod wakes;
