//! Docker Compose files, as far as they say how a server is started: <https://docs.docker.com/reference/compose-file/>.
//!
//! Owns reading services out of a file's text. It opens no file and asks no environment itself: [`Beside`] does. What
//! nodes a cluster is made of is in [`cluster`].

pub mod cluster;
mod dotenv;
mod fields;
mod health;
pub mod service;
pub mod variables;
pub mod words;
pub mod yaml;

pub use cluster::Cluster;
pub use health::Health;
pub use service::{Mount, Service};
pub use variables::Variables;
pub use yaml::Fault;

use service::Reader;
use std::collections::BTreeSet;
use variables::Filling;

/// Most services of a file.
const SERVICES_MAX: usize = 256;

/// What a file is read with.
pub struct Beside<'a> {
    /// What its variables stand for.
    pub variables: &'a Variables,
    /// The text of another file, which it names, or why there is none.
    pub read: &'a dyn Fn(&str) -> Result<String, String>,
}

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
    /// The first thing that is no YAML or no Compose file, or cannot be carried over at all, with its place.
    pub fn parse(text: &str, beside: &Beside<'_>) -> Result<Self, Fault> {
        let get = |name: &str| beside.variables.get(name).map(str::to_owned);
        let mut filling = Filling::new(&get);
        let root = yaml::parse(text, &mut |text| filling.fill(text))?;
        let all = root.get("services")?.ok_or_else(|| root.fault("there are no `services`"))?;
        let mut notes = fields::left_out_of_file(&root)?;
        let named = all.fields()?;
        if named.len() > SERVICES_MAX {
            return Err(
                all.fault(format!("{} services are more than the {SERVICES_MAX} that are read", named.len()))
            );
        }
        let mut reader = Reader::new(&named, beside);
        let mut services = Vec::new();
        for (name, node) in &named {
            let service = reader.service(name, node).map_err(|fault| with_unset(fault, &filling.unset));
            services.extend(service?);
        }
        notes.append(&mut reader.notes);
        if !filling.unset.is_empty() {
            let names: Vec<String> = filling.unset.into_iter().collect();
            notes.push(format!(
                "variables that are set neither in the environment nor in .env are empty: {}",
                names.join(", ")
            ));
        }
        if services.is_empty() {
            let why = if named.is_empty() {
                "there are no `services`"
            } else {
                "every service is behind a profile"
            };
            return Err(all.fault(why));
        }
        Ok(Self { services, notes })
    }
}

/// A fault of a service, with the variables that were not set: often one of them is its cause.
fn with_unset(fault: Fault, unset: &BTreeSet<String>) -> Fault {
    if unset.is_empty() {
        return fault;
    }
    let names: Vec<&str> = unset.iter().map(String::as_str).collect();
    Fault { cause: format!("{} (variables that are not set: {})", fault.cause, names.join(", ")), ..fault }
}
