//! The engine that runs containers, Docker or Podman, spoken to through its API.

#![allow(clippy::disallowed_types, reason = "maps of the API; nothing here walks them")]

use bollard::Docker;
use bollard::container::AttachContainerResults;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, ResourcesUlimits};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The label that names the process a container belongs to.
const OWNER: &str = "fuzz.owner";

/// Where the entry is in a container.
const ENTRY: &str = "/.fuzz-entry";

/// Why containers cannot be had. All of these are the caller's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers.
    #[error(
        "cannot reach Docker or Podman ({0}); start it, or set DOCKER_HOST to its socket, such as \
         unix:///run/podman/podman.sock"
    )]
    Unreachable(String),
    /// There is no such image here.
    #[error("there is no image `{0}` here; build or load it: `docker images` shows what there is")]
    NoImage(String),
    /// The tracer may not enter containers.
    #[error(
        "the docker launcher enters containers, which takes root: run fuzz as root, or use --launcher native"
    )]
    NotRoot,
    /// Something it was asked for.
    #[error("{what}: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its word.
        why: String,
    },
}

/// An image, as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The name it was asked for by.
    pub name: String,
    /// SHA-256 of its contents and settings, in hex.
    pub id: String,
    /// The environment it sets, in its order.
    pub environment: Vec<(String, String)>,
}

/// A running container in which nothing runs but the entry.
pub struct Container {
    /// The engine's name for it.
    pub id: String,
    /// The entry's process on the host.
    pub pid: i32,
    /// The entry's standard input; it ends when this goes.
    pub input: AttachContainerResults,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Engine(Docker);

/// An image that is on this machine; for those who have no runtime of their own.
///
/// # Errors
/// When the engine cannot be reached, or has no such image.
pub fn find_image(name: &str) -> Result<Image, EngineError> {
    super::containers::runtime()?.block_on(async { Engine::connect().await?.image(name).await })
}

/// What engine answers: `Docker 28.2.2`, `Podman 4.3.1`.
///
/// # Errors
/// When none does.
pub fn version() -> Result<String, EngineError> {
    super::containers::runtime()?.block_on(async { Engine::connect().await?.version().await })
}

fn refused(what: impl Into<String>) -> impl FnOnce(Error) -> EngineError {
    let what = what.into();
    move |error| EngineError::Refused { what, why: error.to_string() }
}

impl Engine {
    /// Connects: to `DOCKER_HOST`, else to Docker's own socket, else to Podman's.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn connect() -> Result<Self, EngineError> {
        let unreachable = |error: Error| EngineError::Unreachable(error.to_string());
        let docker = if std::env::var_os("DOCKER_HOST").is_some() {
            Docker::connect_with_defaults()
        } else {
            Docker::connect_with_unix_defaults().or_else(|_| Docker::connect_with_podman_defaults())
        };
        let docker = docker.map_err(unreachable)?;
        Ok(Self(docker.negotiate_version().await.map_err(unreachable)?))
    }

    async fn version(&self) -> Result<String, EngineError> {
        let version = self.0.version().await.map_err(refused("cannot ask for the engine's version"))?;
        let components = version.components.unwrap_or_default();
        let is_podman = components.iter().any(|component| component.name.contains("Podman"));
        let name = if is_podman { "Podman" } else { "Docker" };
        Ok(format!("{name} {}", version.version.unwrap_or_default()))
    }

    /// An image that is here.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn image(&self, name: &str) -> Result<Image, EngineError> {
        let found = self.0.inspect_image(name).await.map_err(|error| match error {
            Error::DockerResponseServerError { status_code: 404, .. } => {
                EngineError::NoImage(name.to_owned())
            }
            other => refused(format!("cannot look at the image `{name}`"))(other),
        })?;
        let id = found.id.unwrap_or_default();
        let variables = found.config.and_then(|config| config.env).unwrap_or_default();
        let environment = variables
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Self::named(name, &id, environment))
    }

    fn named(name: &str, id: &str, environment: Vec<(String, String)>) -> Image {
        let id = id.strip_prefix("sha256:").unwrap_or(id).to_owned();
        Image { name: name.to_owned(), id, environment }
    }

    /// Starts a container of an image with the `entry` of the host in it, and an empty directory where
    /// data directories belong. It has no network and cannot write; it is removed when its input ends.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn start(&self, image: &Image, entry: &Path) -> Result<Container, EngineError> {
        let failed = |step: &str| refused(format!("cannot {step} a container of `{}`", image.name));
        let host = HostConfig {
            auto_remove: Some(true),
            network_mode: Some("none".into()),
            // What a guest finds of itself in /proc must be in the tracer's own numbers.
            pid_mode: Some("host".into()),
            readonly_rootfs: Some(true),
            binds: Some(vec![format!("{}:{ENTRY}:ro", entry.display())]),
            tmpfs: Some(HashMap::from([(interceptor::sandbox::BASE.to_owned(), String::new())])),
            // Podman's defaults may be above what it may set on this machine.
            ulimits: Some(modest_limits()),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.id.clone()),
            entrypoint: Some(vec![ENTRY.into()]),
            cmd: Some(Vec::new()),
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdin: Some(true),
            labels: Some(HashMap::from([(OWNER.into(), std::process::id().to_string())])),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let id = self.0.create_container(None, body).await.map_err(failed("create"))?.id;
        let started = self.set_going(&id).await;
        if started.is_err() {
            self.remove(&id).await;
        }
        started.map_err(failed("start"))
    }

    async fn set_going(&self, id: &str) -> Result<Container, Error> {
        let attach = AttachContainerOptionsBuilder::default().stdin(true).stream(true).build();
        let input = self.0.attach_container(id, Some(attach)).await?;
        self.0.start_container(id, None).await?;
        let state = self.0.inspect_container(id, None).await?.state;
        let pid = state.and_then(|state| state.pid).unwrap_or(0);
        Ok(Container { id: id.to_owned(), pid: i32::try_from(pid).unwrap_or(0), input })
    }

    /// Removes a container, whatever it does; one that is gone already is as good.
    pub async fn remove(&self, id: &str) {
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        if let Err(error) = self.0.remove_container(id, Some(force)).await {
            tracing::debug!(%error, id, "removing a container");
        }
    }

    /// Removes the containers of processes that are gone.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn clear_stale(&self) -> Result<(), EngineError> {
        let ours = HashMap::from([("label", vec![OWNER])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
        let listed =
            self.0.list_containers(Some(options)).await.map_err(refused("cannot list containers"))?;
        for container in listed {
            let owner = container.labels.and_then(|labels| labels.get(OWNER).cloned()).unwrap_or_default();
            let is_dead = !Path::new("/proc").join(owner).exists();
            if let (true, Some(id)) = (is_dead, container.id) {
                self.remove(&id).await;
            }
        }
        Ok(())
    }
}

/// What the entry may use, far more than it needs.
fn modest_limits() -> Vec<ResourcesUlimits> {
    let limit =
        |name: &str, most| ResourcesUlimits { name: Some(name.into()), soft: Some(most), hard: Some(most) };
    vec![limit("nofile", 1024), limit("nproc", 4096)]
}
