//! Homes for nodes: containers, made ahead of time by a thread of their own, for starting one takes longer than most
//! runs do. The thread also reads the host's clock, which the sandbox's own thread cannot.

use super::engine::{Container, Engine, EngineError, Image};
use super::entry;
use interceptor::room::Room;
use interceptor::sandbox::{Container as Home, Homes};
use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

type Answer = Result<Container, EngineError>;

/// What the thread is asked.
enum Request {
    /// A container; its number and process come back.
    Open(SyncSender<Result<(String, i32), EngineError>>),
    /// It is not needed any more.
    Close(String),
}

/// Makes containers of one image. When it is dropped, all of them are gone.
#[derive(Debug)]
pub struct Containers {
    requests: Option<UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
    image: Image,
    /// Holds the entry, where the engine can see it.
    _directory: Room,
}

/// A runtime for one thread.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> Result<Runtime, EngineError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| EngineError::Refused {
        what: "cannot start a runtime".into(),
        why: error.to_string(),
    })
}

impl Containers {
    /// Connects to the engine and begins to make as many containers as a cluster has nodes.
    ///
    /// # Errors
    /// When the engine cannot be reached, or this process may not enter containers.
    pub fn new(image: &Image, nodes: usize) -> Result<Self, EngineError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(EngineError::NotRoot);
        }
        let failed = |what: &str, why: String| EngineError::Refused { what: what.to_owned(), why };
        let directory =
            Room::directory().map_err(|error| failed("cannot write the entry", error.to_string()))?;
        let file = directory.root().join("entry");
        std::fs::write(&file, entry::program())
            .and_then(|()| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)))
            .map_err(|error| failed("cannot write the entry", error.to_string()))?;
        let runtime = runtime()?;
        let engine = runtime.block_on(async {
            let engine = Engine::connect().await?;
            engine.clear_stale().await?;
            Ok::<_, EngineError>(engine)
        })?;
        let maker = Maker { engine, image: image.clone(), entry: file, nodes };
        let (requests, receiver) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("containers".into())
            .spawn(move || runtime.block_on(serve(maker, receiver)))
            .map_err(|error| failed("cannot start a thread", error.to_string()))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            image: image.clone(),
            _directory: directory,
        })
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What gives the nodes of one run their homes.
    #[must_use]
    pub fn homes(&self) -> Box<dyn Homes> {
        Box::new(Street { requests: self.requests.clone() })
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _a_panic_was_told = thread.join();
        }
    }
}

struct Street {
    requests: Option<UnboundedSender<Request>>,
}

impl Homes for Street {
    fn open(&mut self, _: usize) -> Result<Home, String> {
        let requests = self.requests.clone().ok_or("the launcher is gone")?;
        let (sender, answer) = sync_channel(1);
        requests.send(Request::Open(sender)).map_err(|error| error.to_string())?;
        let (id, pid) = answer.recv().map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let keeper = Keeper { id, requests };
        Ok(Home { pid, keeper: Box::new(keeper) })
    }
}

/// Lets a container go when it is dropped.
struct Keeper {
    id: String,
    requests: UnboundedSender<Request>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _the_thread_ended = self.requests.send(Request::Close(std::mem::take(&mut self.id)));
    }
}

/// What it takes to make a container.
#[derive(Clone)]
struct Maker {
    engine: Engine,
    image: Image,
    entry: PathBuf,
    nodes: usize,
}

impl Maker {
    async fn make(self) -> Answer {
        self.engine.start(&self.image, &self.entry).await
    }
}

/// Keeps as many containers ready as a cluster has nodes, until nobody can ask any more.
async fn serve(maker: Maker, mut requests: UnboundedReceiver<Request>) {
    let mut ready: VecDeque<Container> = VecDeque::new();
    let mut used: BTreeMap<String, Container> = BTreeMap::new();
    let mut waiting = VecDeque::new();
    let mut making: JoinSet<Answer> = JoinSet::new();
    let mut removing: JoinSet<()> = JoinSet::new();
    // Why the last one could not be made; nobody tries again before somebody has been told.
    let mut failure: Option<EngineError> = None;
    loop {
        while failure.is_none() && ready.len() + making.len() < maker.nodes.max(waiting.len()) {
            making.spawn(maker.clone().make());
        }
        tokio::select! {
            request = requests.recv() => match request {
                Some(Request::Open(sender)) => waiting.push_back(sender),
                Some(Request::Close(id)) => {
                    // The input ends here, and the container with it.
                    drop(used.remove(&id));
                    let engine = maker.engine.clone();
                    removing.spawn(async move { engine.remove(&id).await });
                }
                None => break,
            },
            Some(made) = making.join_next(), if !making.is_empty() => match made {
                Ok(Ok(container)) => ready.push_back(container),
                Ok(Err(error)) => failure = Some(error),
                Err(error) => tracing::debug!(%error, "making a container"),
            },
            Some(_) = removing.join_next(), if !removing.is_empty() => {}
        }
        while !waiting.is_empty()
            && let Some(container) = ready.pop_front()
            && let Some(sender) = waiting.pop_front()
        {
            let answer = (container.id.clone(), container.pid);
            used.insert(container.id.clone(), container);
            let _asker_gone = sender.send(Ok(answer));
        }
        if !waiting.is_empty()
            && let Some(error) = failure.take()
            && let Some(sender) = waiting.pop_front()
        {
            let _asker_gone = sender.send(Err(error));
        }
    }
    while let Some(made) = making.join_next().await {
        ready.extend(made.ok().and_then(Result::ok));
    }
    for container in ready.into_iter().chain(used.into_values()) {
        let Container { id, input, .. } = container;
        drop(input);
        let engine = maker.engine.clone();
        removing.spawn(async move { engine.remove(&id).await });
    }
    while removing.join_next().await.is_some() {}
}
