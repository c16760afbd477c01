//! What a run takes from a target, read and checked. A runner is made of it, and `fuzz targets --check` asks for nothing
//! else: what this accepts can be set up.

use super::program::{self, Named};
use super::{Manifest, PlacedFile, Target, TargetError};
use std::collections::BTreeMap;
use std::path::Path;

/// Where the programs of nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home<'a> {
    /// Files of the host; `{bin}` is this one, or one that is still to be built.
    Host(Option<&'a Path>),
    /// Files of an image.
    Image,
}

/// A manifest whose programs are found, and the files that it places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The manifest; programs that it names have their paths.
    pub manifest: Manifest,
    /// What nodes find in their data directories.
    pub files: Vec<PlacedFile>,
    /// What clients that are programs find in theirs.
    pub client_files: Vec<PlacedFile>,
}

impl Target {
    /// Reads what the manifest places, and finds the programs that it names.
    ///
    /// # Errors
    /// What cannot be read, placed or run, by the table that asks for it.
    pub fn prepare(&self, home: Home<'_>) -> Result<Prepared, TargetError> {
        let files = self.files()?;
        let client_files = self.client_files()?;
        let refuse = |why: String| TargetError::Manifest { file: self.shown(), why };
        for (table, files) in [("node", &files), ("client.exec", &client_files)] {
            check_apart(files).map_err(|why| refuse(format!("[[{table}.file]] {why}")))?;
        }
        if let Home::Host(Some(binary)) = home {
            program::runnable(binary).map_err(|why| refuse(format!("[build] binary: {why}")))?;
        }
        let mut manifest = self.manifest.clone();
        let node = &mut manifest.node;
        for command in std::iter::once(&mut node.command).chain(&mut node.beside) {
            find(command, home, &files).map_err(|why| refuse(format!("[node] {why}")))?;
        }
        // Clients live on the host, whatever nodes live in, and so does who asks.
        let home = match home {
            Home::Image => Home::Host(None),
            home => home,
        };
        if let Some(exec) = &mut manifest.client.exec {
            find(&mut exec.command, home, &client_files)
                .map_err(|why| refuse(format!("[client.exec] {why}")))?;
        }
        for program in manifest.status.iter_mut().filter_map(|status| status.program.as_mut()) {
            find(program, home, &client_files).map_err(|why| refuse(format!("[[status]] program: {why}")))?;
        }
        Ok(Prepared { manifest, files, client_files })
    }

    /// Whether a run can be set up, as far as that can be told without building anything. The answer is what is to be known
    /// besides.
    ///
    /// # Errors
    /// As [`Self::prepare`], or its program is not there and nothing brings it.
    pub fn check(&self) -> Result<Option<String>, TargetError> {
        let spec = &self.manifest.build;
        let missing = match self.binary() {
            Ok(binary) => return self.prepare(Home::Host(Some(&binary.path))).map(|_| None),
            Err(error) => error,
        };
        if let Some(builder) = spec.command.first() {
            self.find_builder(builder)?;
            self.prepare(Home::Host(None))?;
            return Ok(Some(format!("{} is not there yet: `fuzz run` builds it", spec.binary.display())));
        }
        if self.manifest.docker.is_none() {
            return Err(missing);
        }
        self.prepare(Home::Image)?;
        let binary = spec.binary.display();
        Ok(Some(format!(
            "the program {binary} is not on this machine: nodes can only run with --launcher docker"
        )))
    }

    fn find_builder(&self, builder: &str) -> Result<(), TargetError> {
        let path = Path::new(builder);
        let found = match builder.contains('/') {
            true => program::runnable(&self.root.join(path)),
            false => program::in_path(path).map(drop).ok_or_else(|| not_in_path(builder)),
        };
        let refuse =
            |why| TargetError::Manifest { file: self.shown(), why: format!("[build] command: {why}") };
        found.map_err(refuse)
    }

    fn shown(&self) -> String {
        super::discover::shown(&self.file, &self.root)
    }
}

/// Gives the program of a command its path.
fn find(command: &mut [String], home: Home<'_>, files: &[PlacedFile]) -> Result<(), String> {
    let Some(word) = command.first_mut() else { return Err("a command is empty".into()) };
    let path = match (program::named(word)?, home) {
        (Named::Binary, _) => return Ok(()),
        (Named::Placed(path), _) => {
            let is_placed = |file: &&PlacedFile| file.path == *path && file.nodes.is_none();
            let path = path.display();
            return match files.iter().find(is_placed) {
                Some(file) if file.executable => Ok(()),
                Some(_) => {
                    Err(format!("the file placed at `{path}`, which `{word}` is to run, is not executable"))
                }
                None => Err(format!("no file is placed at `{path}` on every node, which `{word}` is to run")),
            };
        }
        (Named::Absolute(_), Home::Image) => return Ok(()),
        (Named::Name(name), Home::Image) => {
            return Err(format!(
                "`{}` is looked up in no PATH of an image; write its path in it",
                name.display()
            ));
        }
        (Named::Absolute(path), Home::Host(_)) => {
            return program::runnable(path);
        }
        (Named::Name(name), Home::Host(_)) => program::in_path(name).ok_or_else(|| not_in_path(word))?,
    };
    *word = path.to_str().ok_or_else(|| format!("the path of `{word}` is no UTF-8"))?.to_owned();
    Ok(())
}

fn not_in_path(name: &str) -> String {
    format!("the program `{name}` is not in PATH; install it, or write its path")
}

/// Whether all files can lie beside each other: no path twice, none below another file.
pub(super) fn check_apart(files: &[PlacedFile]) -> Result<(), String> {
    let share = |a: &PlacedFile, b: &PlacedFile| match (&a.nodes, &b.nodes) {
        (Some(a), Some(b)) => a.iter().any(|node| b.contains(node)),
        _ => true,
    };
    let mut at: BTreeMap<&Path, Vec<&PlacedFile>> = BTreeMap::new();
    for file in files {
        at.entry(&file.path).or_default().push(file);
    }
    for (path, here) in &at {
        for (position, file) in here.iter().enumerate() {
            if here[position + 1..].iter().any(|other| share(file, other)) {
                return Err(format!("two files have the path {} on one node", path.display()));
            }
            for above in path.ancestors().skip(1) {
                let over = at.get(above).and_then(|all| all.iter().find(|other| share(file, other)));
                if over.is_some() {
                    return Err(format!(
                        "{} lies below {}, which is a file",
                        path.display(),
                        above.display()
                    ));
                }
            }
        }
    }
    Ok(())
}
