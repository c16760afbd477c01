//! Docker Compose files, as far as they say how a server is started: <https://docs.docker.com/reference/compose-file/>.
//!
//! Owns reading services out of a file's text. It reads no other file and no environment: a variable has its default
//! or is empty, and both are said. What nodes a cluster is made of is in [`cluster`].

pub mod cluster;
pub mod service;
pub mod words;
pub mod yaml;

pub use cluster::Cluster;
pub use service::{Health, Mount, Service};
pub use yaml::Fault;

/// Parts of a file, beside its services, that a manifest has no word for.
const LEFT_OUT: [&str; 3] = ["configs", "secrets", "include"];

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compose {
    /// In the order in which they were written.
    pub services: Vec<Service>,
    /// What was not understood or cannot be carried over, a sentence each.
    pub notes: Vec<String>,
}

impl Compose {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first thing that is no YAML or no Compose file, with its place.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let root = yaml::parse(text)?;
        let services = root.get("services")?.ok_or_else(|| root.fault("there are no `services`"))?;
        let mut notes = Vec::new();
        for name in LEFT_OUT {
            if root.get(name)?.is_some() {
                notes.push(format!("`{name}` is left out"));
            }
        }
        let services =
            services.fields()?.into_iter().map(|(name, node)| Service::read(name, node, &mut notes));
        let services: Vec<Service> = services.collect::<Result<_, _>>()?;
        if services.is_empty() {
            return Err(root.fault("there are no `services`"));
        }
        Ok(Self { services, notes })
    }
}
