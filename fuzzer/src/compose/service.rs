//! One service: how it is started, where it listens, how its health is asked.

use super::health::{self, Health, line};
use super::yaml::{Content, Fault, Node};
use super::{Beside, dotenv, fields};
use crate::target::template;
use std::collections::BTreeMap;

/// Most services that extend each other in a row.
const EXTENDS_MAX: usize = 16;
/// Most ports of a service.
const PORTS_MAX: usize = 256;
/// Most volumes of a service, and most names.
const MOUNTS_MAX: usize = 256;
/// Most environment variables of a service.
const ENVIRONMENT_MAX: usize = 512;
/// Most fields of a service.
const FIELDS_MAX: usize = 512;

/// A service of a Compose file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Under which others reach it: its name, its container's, its host's and its aliases. None is empty.
    pub hosts: Vec<String>,
    /// Its image.
    pub image: Option<String>,
    /// It is built from sources: where they lie.
    pub build: Option<String>,
    /// The program and its first arguments, where the image's own are not used.
    pub entrypoint: Vec<String>,
    /// Arguments, or the whole command line.
    pub command: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Ports that it listens on, in its container.
    pub ports: Vec<u16>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// How its health is asked.
    pub health: Option<Health>,
    /// How many of it run.
    pub copies: u16,
}

/// A volume or a directory of the host in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted: a volume's name, or a path of the host.
    pub source: String,
    /// Where, in the container.
    pub target: String,
}

impl Service {
    /// Program and arguments as far as the file says them: the image's own entry is not known.
    #[must_use]
    pub fn line(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }
}

/// Reads services; what is left out of them is noted.
pub(super) struct Reader<'a> {
    all: BTreeMap<&'a str, &'a Node>,
    beside: &'a Beside<'a>,
    pub(super) notes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(all: &[(&'a str, &'a Node)], beside: &'a Beside<'a>) -> Self {
        Self { all: all.iter().copied().collect(), beside, notes: Vec::new() }
    }

    /// A service; `None` where it does not run unless a profile is asked for.
    pub(super) fn service(&mut self, name: &str, node: &Node) -> Result<Option<Service>, Fault> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            let why = "is no name of a service: letters, digits, `.`, `_` and `-` are possible";
            return Err(node.fault(format!("`{}` {why}", name.escape_debug())));
        }
        within(node, node.fields()?.len(), FIELDS_MAX, "fields")?;
        if self.is_behind_profile(name, node)? {
            return Ok(None);
        }
        let mut service =
            Service { name: name.to_owned(), hosts: vec![name.to_owned()], copies: 1, ..Service::default() };
        let layers = self.layers(name, node)?;
        let mut left_out = Vec::new();
        for (depth, layer) in layers.iter().enumerate() {
            within(layer, layer.fields()?.len(), FIELDS_MAX, "fields")?;
            for (field, value) in layer.fields()? {
                let is_own = depth + 1 == layers.len();
                if !self.read(&mut service, field, value, is_own)?
                    && let Some(note) = fields::left_out(field, name)
                    && !left_out.contains(&note)
                {
                    left_out.push(note);
                }
            }
        }
        self.notes.append(&mut left_out);
        if service.image.is_none() && service.build.is_none() {
            return Err(node.fault(format!("`{name}` has neither `image` nor `build`")));
        }
        service.hosts.retain(|host| !host.is_empty());
        service.hosts.dedup();
        Ok(Some(service))
    }

    fn is_behind_profile(&mut self, name: &str, node: &Node) -> Result<bool, Fault> {
        let asked = self.beside.variables.get("COMPOSE_PROFILES").unwrap_or_default();
        let asked: Vec<&str> = asked.split(',').map(str::trim).collect();
        let Some(profiles) = node.get("profiles")? else { return Ok(false) };
        let profiles: Vec<&str> = profiles.list()?.iter().map(|one| one.text()).collect::<Result<_, _>>()?;
        let is_asked = profiles.iter().any(|one| asked.contains(one)) || asked.contains(&"*");
        if profiles.is_empty() || is_asked {
            return Ok(false);
        }
        self.notes.push(format!(
            "`{name}` is left out: it is behind the profile {}; COMPOSE_PROFILES names those that run",
            profiles.join(", ")
        ));
        Ok(true)
    }

    /// The service and those that it extends, the outermost first.
    fn layers<'n>(&self, name: &str, node: &'n Node) -> Result<Vec<&'n Node>, Fault>
    where
        'a: 'n,
    {
        let mut layers = vec![node];
        let mut outer = node;
        while let Some(extends) = outer.get("extends")? {
            let base = match &extends.content {
                Content::Text(base) => base,
                _ => {
                    if let Some(file) = extends.get("file")? {
                        return Err(file.fault(format!(
                            "`{name}` extends a service of {}, which is not read; write that service here",
                            file.text()?.escape_debug()
                        )));
                    }
                    extends
                        .get("service")?
                        .ok_or_else(|| extends.fault("`extends` names no service"))?
                        .text()?
                }
            };
            outer = self.all.get(base).copied().ok_or_else(|| {
                extends.fault(format!("`{name}` extends `{}`, which is not there", base.escape_debug()))
            })?;
            layers.push(outer);
            if layers.len() > EXTENDS_MAX {
                return Err(
                    extends.fault(format!("`{name}` extends itself, or more than {EXTENDS_MAX} services"))
                );
            }
        }
        layers.reverse();
        Ok(layers)
    }

    /// Reads a field; whether it is one that is read.
    fn read(
        &mut self,
        service: &mut Service,
        field: &str,
        value: &Node,
        is_own: bool,
    ) -> Result<bool, Fault> {
        match field {
            "image" => service.image = Some(image(value)?),
            "build" => {
                let context = if matches!(value.content, Content::Map(_)) {
                    value.get("context")?
                } else {
                    Some(value)
                };
                service.build = Some(context.map_or(Ok("."), Node::text)?.to_owned());
            }
            "entrypoint" => service.entrypoint = command(value)?,
            "command" => service.command = command(value)?,
            "environment" => self.environment(service, value)?,
            "env_file" => self.env_files(service, value)?,
            "hostname" | "container_name" if is_own => service.hosts.push(value.text()?.to_owned()),
            "hostname" | "container_name" => {}
            "networks" if is_own && matches!(value.content, Content::Map(_)) => {
                for (_, network) in value.fields()? {
                    let aliases = network.get("aliases")?;
                    for alias in aliases.map_or(Ok(&[][..]), Node::list)? {
                        service.hosts.push(alias.text()?.to_owned());
                    }
                }
                within(value, service.hosts.len(), MOUNTS_MAX, "names")?;
            }
            "ports" | "expose" => {
                for port in value.list()? {
                    let (first, last) = ports(port)?;
                    let fresh: Vec<u16> = (first..=last)
                        .filter(|port| !service.ports.contains(port))
                        .take(PORTS_MAX + 1)
                        .collect();
                    service.ports.extend(fresh);
                    within(port, service.ports.len(), PORTS_MAX, "ports")?;
                }
            }
            "volumes" => {
                for one in value.list()? {
                    let mount = mount(one)?;
                    service.mounts.retain(|known| known.target != mount.target);
                    service.mounts.push(mount);
                    within(one, service.mounts.len(), MOUNTS_MAX, "volumes")?;
                }
            }
            "healthcheck" => service.health = health::read(value)?,
            "scale" => service.copies = count(value)?,
            "deploy" => {
                if let Some(replicas) = value.get("replicas")? {
                    service.copies = count(replicas)?;
                }
            }
            "networks" | "extends" | "profiles" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn environment(&mut self, service: &mut Service, node: &Node) -> Result<(), Fault> {
        let mut take = |place: &Node, name: &str, value: Option<&str>| {
            let value = value.or_else(|| self.beside.variables.get(name));
            match value {
                Some(value) => set(service, place, name, carried(place, value)?),
                None => {
                    let of = &service.name;
                    self.notes.push(format!("{name} of `{of}` is left out: it is to come from the environment, and is not set there"));
                    Ok(())
                }
            }
        };
        if let Content::List(list) = &node.content {
            for one in list {
                match one.text()?.split_once('=') {
                    Some((name, value)) => take(one, name, Some(value))?,
                    None => take(one, one.text()?, None)?,
                }
            }
            return Ok(());
        }
        for (name, value) in node.fields()? {
            let text = value.text()?;
            take(value, name, Some(text).filter(|_| value.content != Content::Nothing))?;
        }
        Ok(())
    }

    /// `env_file`: a path, a list of paths, or of maps with `path`. What `environment` says comes before it.
    fn env_files(&mut self, service: &mut Service, node: &Node) -> Result<(), Fault> {
        let files: Vec<&Node> = match &node.content {
            Content::List(list) => list.iter().map(|one| &**one).collect(),
            _ => vec![node],
        };
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        for file in files {
            let (path, is_required) = match &file.content {
                Content::Map(_) => {
                    let path = file.get("path")?.ok_or_else(|| file.fault("an `env_file` without `path`"))?;
                    (path.text()?, file.get("required")?.map_or(Ok(""), Node::text)? != "false")
                }
                _ => (file.text()?, true),
            };
            let text = match (self.beside.read)(path) {
                Ok(text) => text,
                Err(_) if !is_required => continue,
                Err(why) => return Err(file.fault(why)),
            };
            let variables = dotenv::read(&text, self.beside.variables)
                .map_err(|fault| file.fault(format!("{}: {fault}", path.escape_debug())))?;
            said.extend(variables);
        }
        for (name, value) in said {
            if service.environment.iter().all(|(known, _)| *known != name) {
                set(service, node, &name, carried(node, &value)?)?;
            }
        }
        Ok(())
    }
}

/// Sets a variable, or sets it anew.
fn set(service: &mut Service, place: &Node, name: &str, value: String) -> Result<(), Fault> {
    if name.is_empty() || name.contains(|c: char| c == '=' || c.is_control()) {
        return Err(place.fault(format!("`{}` is no name of a variable", name.escape_debug())));
    }
    match service.environment.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => service.environment.push((name.to_owned(), value)),
    }
    within(place, service.environment.len(), ENVIRONMENT_MAX, "environment variables")
}

fn within(node: &Node, count: usize, max: usize, what: &str) -> Result<(), Fault> {
    if count > max {
        return Err(node.fault(format!("a service of more than {max} {what} cannot be carried over")));
    }
    Ok(())
}

/// A text that a manifest can hold: words in braces are placeholders there.
fn carried(node: &Node, text: &str) -> Result<String, Fault> {
    match template::placeholder(text) {
        Some(word) => Err(node.fault(format!(
            "`{word}` cannot be carried over: in a manifest, words in braces are placeholders"
        ))),
        None => Ok(text.to_owned()),
    }
}

fn image(node: &Node) -> Result<String, Fault> {
    let image = node.text()?;
    if program_of(image).is_empty() || image.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(node.fault(format!("`{}` is no name of an image", image.escape_debug())));
    }
    Ok(image.to_owned())
}

/// The last part of an image's name, without tag or digest.
#[must_use]
pub fn program_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next().unwrap_or(name)
}

/// Words of a command line; the first of them is not empty.
fn command(node: &Node) -> Result<Vec<String>, Fault> {
    let words = line(node)?;
    if words.first().is_some_and(String::is_empty) {
        return Err(node.fault("the first word of a command line is empty"));
    }
    words.iter().map(|word| carried(node, word)).collect()
}

/// `80`, `8080:80`, `127.0.0.1:8080-8082:80-82/tcp`, or a map with `target`: the first and the last. Ports of UDP are none of
/// ours: the range is empty.
fn ports(node: &Node) -> Result<(u16, u16), Fault> {
    const NONE: (u16, u16) = (1, 0);
    let text = match &node.content {
        Content::Map(_) => {
            if node.get("protocol")?.map_or(Ok("tcp"), Node::text)? != "tcp" {
                return Ok(NONE);
            }
            node.get("target")?.ok_or_else(|| node.fault("a port without `target`"))?.text()?
        }
        _ => node.text()?,
    };
    let inside = text.rsplit(':').next().unwrap_or_default();
    let (inside, protocol) = inside.split_once('/').unwrap_or((inside, "tcp"));
    if protocol != "tcp" {
        return Ok(NONE);
    }
    let (first, last) = inside.split_once('-').unwrap_or((inside, inside));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok((first, last)),
        _ => {
            Err(node.fault(format!("`{}` is no port; expected such as 8080 or 80:8080", text.escape_debug())))
        }
    }
}

/// `source:target:mode`, `target`, or a map with `source` and `target`.
fn mount(node: &Node) -> Result<Mount, Fault> {
    let (source, target) = if let Content::Map(_) = node.content {
        let field = |name| node.get(name)?.map_or(Ok(""), Node::text);
        (field("source")?, field("target")?)
    } else {
        let mut parts = node.text()?.split(':');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        second.map_or(("", first), |second| (first, second))
    };
    if !target.starts_with('/') {
        return Err(node.fault(format!(
            "`{}` is no absolute path in the container; expected such as data:/var/lib/data",
            target.escape_debug()
        )));
    }
    Ok(Mount { source: source.to_owned(), target: target.to_owned() })
}

fn count(node: &Node) -> Result<u16, Fault> {
    let text = node.text()?;
    text.parse().map_err(|_| node.fault(format!("`{}` is no number of copies", text.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::super::{Beside, Compose, Variables};
    use super::*;

    fn parse(text: &str) -> Result<Compose, String> {
        let variables = Variables::of([("SET".to_owned(), "set".to_owned())]);
        let read = |path: &str| match path {
            "a.env" => Ok("A=from file\nB=$SET\n".to_owned()),
            "bad.env" => Ok("A=1\n=2\n".to_owned()),
            _ => Err(format!("cannot read {path}")),
        };
        Compose::parse(text, &Beside { variables: &variables, read: &read })
            .map_err(|fault| fault.to_string())
    }

    fn read(text: &str) -> (Service, Vec<String>) {
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        let compose = parse(&format!("services:\n  s:\n{indented}")).unwrap();
        (compose.services[0].clone(), compose.notes)
    }

    #[test]
    fn fields_have_a_short_and_a_long_form() {
        let short = "image: x:1\ncommand: run --dir '/a b'\nenvironment: [A=1, B, SET]\nports: ['127.0.0.1:8000:80', '90-91', '53:53/udp']\nvolumes: ['v:/data:ro', /tmp]\nscale: 2";
        let (service, notes) = read(short);
        assert_eq!(service.line(), ["run", "--dir", "/a b"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(service.environment, [pair("A", "1"), pair("SET", "set")]);
        assert_eq!((service.ports, service.copies), (vec![80, 90, 91], 2));
        assert_eq!(service.mounts[0], Mount { source: "v".into(), target: "/data".into() });
        assert_eq!(notes, ["B of `s` is left out: it is to come from the environment, and is not set there"]);
        let long = "build: {context: ./src}\nentrypoint: [/bin/s]\ncommand: [-x, '${Y:-3}', '$Z']\nenvironment: {A: 1, SET: }\nports: [{target: 80, published: 8000}]\nvolumes: [{type: bind, source: ./c, target: /c}]\ndeploy: {replicas: 3}\nprivileged: true\nlabels: [a]\nx-mine: 1\ncomand: y";
        let (service, notes) = read(long);
        assert_eq!(service.line(), ["/bin/s", "-x", "3", ""]);
        assert_eq!(service.environment, [pair("A", "1"), pair("SET", "set")]);
        assert_eq!((service.build.as_deref(), service.copies), (Some("./src"), 3));
        assert_eq!((service.ports, service.mounts.len()), (vec![80], 1));
        assert_eq!(
            notes,
            [
                "`privileged` of `s` is left out",
                "`comand` of `s` is no field that is known, and is left out: did you mean `command`?",
                "variables that are set neither in the environment nor in .env are empty: Z",
            ]
        );
    }

    #[test]
    fn files_of_variables_come_after_the_environment_of_a_service() {
        let (service, _) =
            read("image: x\nenvironment: {A: own}\nenv_file: [a.env, {path: none.env, required: false}]");
        let shown: Vec<String> =
            service.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["A=own", "B=set"]);
        let told =
            |file: &str| parse(&format!("services:\n  s: {{image: x, env_file: {file}}}\n")).unwrap_err();
        assert_eq!(told("none.env"), "line 2, column 27: cannot read none.env");
        assert!(
            told("bad.env").starts_with("line 2, column 27: bad.env: line 2, column 1: "),
            "{}",
            told("bad.env")
        );
    }

    #[test]
    fn services_extend_others_and_wait_for_profiles() {
        let text = "services:\n  base: {image: x, container_name: b, command: a, environment: {A: 1, B: 2}, ports: [1]}\n  \
                    s: {extends: {service: base}, environment: {B: 3}, ports: [2]}\n  \
                    web: {image: y, profiles: [debug]}\n";
        let compose = parse(text).unwrap();
        let own = &compose.services[1];
        assert_eq!((own.image.as_deref(), own.line()), (Some("x"), vec!["a".to_owned()]));
        assert_eq!((own.hosts.as_slice(), own.ports.as_slice()), (&["s".to_owned()][..], &[1, 2][..]));
        assert_eq!(own.environment[1], ("B".to_owned(), "3".to_owned()));
        assert_eq!(compose.services.len(), 2);
        assert_eq!(
            compose.notes,
            ["`web` is left out: it is behind the profile debug; COMPOSE_PROFILES names those that run"]
        );
    }

    #[test]
    fn health_checks_are_questions_where_they_can_be() {
        let of = |test: &str| read(&format!("image: x\nhealthcheck: {{test: {test}}}")).0.health;
        let http = |path: &str, port| Some(Health::Http { path: path.into(), port });
        assert_eq!(of("[CMD, curl, -f, 'http://localhost:8080/health?x=1']"), http("/health?x=1", 8080));
        assert_eq!(of("wget -q --spider http://127.0.0.1 || exit 1"), http("/", 80));
        assert_eq!(of("[CMD-SHELL, 'redis-cli ping | grep PONG']"), Some(Health::Resp(vec!["PING".into()])));
        assert_eq!(
            of("[CMD, etcdctl, endpoint, health]"),
            Some(Health::Program("etcdctl endpoint health".into()))
        );
        assert_eq!((of("[NONE]"), of("[]"), of("[CMD]")), (None, None, None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |text: &str| parse(text).unwrap_err();
        assert_eq!(told("version: 3\n"), "line 1, column 1: there are no `services`");
        assert_eq!(told("services: {}\n"), "line 1, column 11: there are no `services`");
        let of = |fields: &str| told(&format!("services:\n  s: {{image: x, {fields}}}\n"));
        for (fields, expected) in [
            ("ports: [http]", "line 2, column 25: `http` is no port; expected such as 8080 or 80:8080"),
            (
                "ports: ['1-65535']",
                "line 2, column 25: a service of more than 256 ports cannot be carried over",
            ),
            ("scale: many", "line 2, column 24: `many` is no number of copies"),
            ("scale: 70000", "line 2, column 24: `70000` is no number of copies"),
            ("image: '$NO'", "line 2, column 17: `image` stands twice in one map"),
            (
                "command: ['$NO', a]",
                "line 2, column 26: the first word of a command line is empty (variables that are not set: NO)",
            ),
            (
                "command: 'a {id}'",
                "line 2, column 26: `{id}` cannot be carried over: in a manifest, words in braces are placeholders",
            ),
            ("environment: ['=1']", "line 2, column 31: `` is no name of a variable"),
            (
                "volumes: ['a:b']",
                "line 2, column 27: `b` is no absolute path in the container; expected such as data:/var/lib/data",
            ),
            ("extends: t", "line 2, column 26: `s` extends `t`, which is not there"),
            ("extends: s", "line 2, column 26: `s` extends itself, or more than 16 services"),
            (
                "extends: {service: t, file: o.yml}",
                "line 2, column 45: `s` extends a service of o.yml, which is not read; write that service here",
            ),
            ("profiles: [a]", "line 2, column 3: every service is behind a profile"),
            (
                "command: '${NO:?}'",
                "line 2, column 26: the variable NO must be set, in the environment or in .env",
            ),
        ] {
            assert_eq!(of(fields), expected);
        }
        assert_eq!(told("services:\n  s: 5\n"), "line 2, column 6: expected a map, found a text");
        assert_eq!(
            told("services:\n  s: {command: x}\n"),
            "line 2, column 6: `s` has neither `image` nor `build`"
        );
        assert_eq!(
            told("services:\n  s: {image: '$NO'}\n"),
            "line 2, column 14: `` is no name of an image (variables that are not set: NO)"
        );
        assert_eq!(
            told("services:\n : command: s /"),
            "line 2, column 4: `` is no name of a service: letters, digits, `.`, `_` and `-` are possible"
        );
    }
}
