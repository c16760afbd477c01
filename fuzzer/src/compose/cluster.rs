//! From services to the nodes of one cluster. A target's nodes all run the same program: the largest group of services
//! of one image are its nodes, the others are left out. What differs from one to the other becomes a placeholder.

use super::{Compose, Health, Service};
use std::collections::BTreeMap;

/// Most nodes of a cluster.
const NODES_MAX: u16 = 9;

/// The nodes of a cluster, in a manifest's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// How many.
    pub nodes: u8,
    /// Their image.
    pub image: Option<String>,
    /// The program, where the file names one.
    pub program: Option<String>,
    /// Its arguments, with placeholders.
    pub arguments: Vec<String>,
    /// Environment variables, with placeholders.
    pub environment: Vec<(String, String)>,
    /// Where they listen.
    pub ports: Vec<u16>,
    /// How their health is asked.
    pub health: Option<Health>,
    /// What was not carried over, and why, a sentence each.
    pub notes: Vec<String>,
}

impl Cluster {
    /// The nodes that a file describes.
    #[must_use]
    pub fn of(compose: &Compose) -> Self {
        let mut notes = compose.notes.clone();
        let members = members(&compose.services, &mut notes);
        let Some(first) = members.first() else { return Self::default() };
        let lines: Vec<Vec<String>> = members.iter().map(|member| member.line()).collect();
        let has_program = lines[0].first().is_some_and(|word| !word.starts_with('-'));
        let named = Named { members: &members, hosts: hosts(&members), targets: targets(&members) };
        let from = usize::from(has_program);
        let arguments = (from..lines[0].len()).map(|at| {
            let words: Vec<Option<&str>> =
                lines.iter().map(|line| line.get(at).map(String::as_str)).collect();
            named.unified("argument", &words, &mut notes)
        });
        let arguments: Vec<String> = arguments.collect();
        let environment = first.environment.iter().map(|(name, _)| {
            let of = |member: &&Service| {
                member.environment.iter().find(|(other, _)| other == name).map(|(_, text)| text.clone())
            };
            let texts: Vec<Option<String>> = members.iter().map(of).collect();
            let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            (name.clone(), named.unified(&format!("variable {name}"), &texts, &mut notes))
        });
        let environment: Vec<(String, String)> = environment.collect();
        for (member, line) in members.iter().zip(&lines).skip(1) {
            unlike(first, member, (&lines[0], line), &mut notes);
        }
        let used = || arguments.iter().chain(environment.iter().map(|(_, text)| text));
        for mount in &first.mounts {
            let place = named.place(&mount.target);
            if !used().any(|text| place.as_ref().is_some_and(|place| text.contains(place.as_str()))) {
                let source = if mount.source.is_empty() { "a volume" } else { &mount.source };
                notes.push(format!(
                    "{source} at {} is left out: nodes can write to {{data}} only, and [[node.file]] places files there",
                    mount.target
                ));
            }
        }
        let left_out =
            compose.services.iter().filter(|one| !members.iter().any(|member| member.name == one.name));
        for host in left_out.flat_map(|one| &one.hosts) {
            if let Some(text) = used().find(|text| text.split(|c| !is_of_host(c)).any(|word| word == host)) {
                notes.push(format!("`{host}` is left out, and `{text}` speaks of it: mend it"));
            }
        }
        if let Some(build) = &first.build {
            notes.push(format!(
                "the image is built from {build}: build it first, and say its name in [docker]"
            ));
        }
        if let Some(Health::Program(line)) = &first.health {
            notes.push(format!(
                "the health check runs `{line}`: say in [[ready]] what a node must answer instead"
            ));
        }
        Self {
            nodes: nodes(&members, &mut notes),
            image: first.image.clone(),
            program: lines[0].first().filter(|_| has_program).cloned(),
            arguments,
            environment,
            ports: first.ports.clone(),
            health: first.health.clone(),
            notes,
        }
    }
}

/// How many nodes there are: a service each, or the copies of the only one.
fn nodes(members: &[&Service], notes: &mut Vec<String>) -> u8 {
    let several = members.iter().find(|member| member.copies != 1);
    let wanted = match (members, several) {
        ([one], _) => one.copies,
        (_, Some(several)) => {
            let (name, copies) = (&several.name, several.copies);
            notes.push(format!("`{name}` is one node, and not {copies} copies: nodes are a service each"));
            return u8::try_from(members.len()).unwrap_or(u8::MAX);
        }
        _ => return u8::try_from(members.len()).unwrap_or(u8::MAX),
    };
    let copies = wanted.clamp(1, NODES_MAX);
    if copies != wanted {
        let name = &members[0].name;
        notes.push(format!(
            "`{name}` has {wanted} copies; a cluster has 1 to {NODES_MAX} nodes, so {copies} here"
        ));
    }
    u8::try_from(copies).unwrap_or(u8::MAX)
}

/// What another member has and the first has not, for nodes are all started alike.
fn unlike(first: &Service, other: &Service, lines: (&[String], &[String]), notes: &mut Vec<String>) {
    let (own, name) = (&first.name, &other.name);
    for word in lines.1.iter().skip(lines.0.len().max(1)) {
        notes.push(format!("the argument `{word}` of `{name}` is left out: `{own}` has none in its place"));
    }
    for (variable, _) in &other.environment {
        if first.environment.iter().all(|(known, _)| known != variable) {
            notes.push(format!("the variable {variable} of `{name}` is left out: `{own}` has none"));
        }
    }
    for port in other.ports.iter().filter(|port| !first.ports.contains(port)) {
        notes.push(format!("port {port} of `{name}` is left out: `{own}` has none"));
    }
}

/// The largest group of services of one image, or of one source, that run one program; what else there is, is noted.
fn members<'a>(services: &'a [Service], notes: &mut Vec<String>) -> Vec<&'a Service> {
    let size = |service: &Service| services.iter().filter(|other| kind(other) == kind(service)).count();
    let Some(most) = services.iter().map(size).max() else { return Vec::new() };
    let Some(chosen) = services.iter().find(|service| size(service) == most) else { return Vec::new() };
    let (mut members, others): (Vec<&Service>, Vec<&Service>) =
        services.iter().partition(|service| kind(service) == kind(chosen));
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
        notes.push(format!(
            "nodes are what `{}` is; other services are left out: {}",
            chosen.name,
            names.join(", ")
        ));
    }
    if members.len() > usize::from(NODES_MAX) {
        let out: Vec<&str> = members[usize::from(NODES_MAX)..].iter().map(|one| one.name.as_str()).collect();
        notes.push(format!("a cluster has {NODES_MAX} nodes at most; left out are {}", out.join(", ")));
        members.truncate(usize::from(NODES_MAX));
    }
    members
}

/// What makes services one of a kind.
fn kind(service: &Service) -> (Option<&str>, Option<&str>, Option<&str>) {
    let program =
        service.entrypoint.first().or(service.command.first()).filter(|word| !word.starts_with('-'));
    (service.image.as_deref(), service.build.as_deref(), program.map(String::as_str))
}

/// Which member a host name is one of.
fn hosts<'a>(members: &[&'a Service]) -> BTreeMap<&'a str, usize> {
    let mut hosts = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        for host in &member.hosts {
            hosts.entry(host.as_str()).or_insert(number);
        }
    }
    hosts
}

/// Where volumes are mounted, the longest path first.
fn targets(members: &[&Service]) -> Vec<String> {
    let mut all: Vec<String> =
        members.iter().flat_map(|member| &member.mounts).map(|mount| mount.target.clone()).collect();
    all.sort_by_key(|target| std::cmp::Reverse((target.len(), target.clone())));
    all.dedup();
    all
}

/// The members by name, and what is mounted in them.
struct Named<'a> {
    members: &'a [&'a Service],
    hosts: BTreeMap<&'a str, usize>,
    targets: Vec<String>,
}

impl Named<'_> {
    /// One text for all members, from that of each.
    fn unified(&self, what: &str, texts: &[Option<&str>], notes: &mut Vec<String>) -> String {
        let first = texts[0].unwrap_or_default();
        for (owns, counts) in [(false, false), (true, false), (false, true), (true, true)] {
            let all: Vec<Option<String>> = texts
                .iter()
                .enumerate()
                .map(|(member, text)| text.map(|text| self.placed(text, member, owns, counts)))
                .collect();
            if all.iter().all(|one| *one == all[0]) {
                return all[0].clone().unwrap_or_default();
            }
        }
        let like = |text: &Option<&str>| *text == texts[0];
        let others: Vec<&str> = self
            .members
            .iter()
            .zip(texts)
            .filter(|(_, text)| !like(text))
            .map(|(one, _)| one.name.as_str())
            .collect();
        notes.push(format!(
            "the {what} `{first}` of `{}` is not as that of {}, and all nodes have it: mend it",
            self.members[0].name,
            others.join(", ")
        ));
        self.placed(first, 0, true, false)
    }

    /// A text with placeholders: paths of volumes, hosts, and with `owns` the member's own host, with `counts` its number.
    fn placed(&self, text: &str, member: usize, owns: bool, counts: bool) -> String {
        let mut placed = String::new();
        let mut rest = text;
        let mut before: Option<char> = None;
        'text: while let Some(c) = rest.chars().next() {
            // A target is an absolute path.
            let targets = if c == '/' { &self.targets[..] } else { &[] };
            for target in targets.iter().filter(|target| target.len() > 1) {
                if let Some(after) = rest.strip_prefix(target.as_str())
                    && !after.starts_with(is_of_host)
                    && !before.is_some_and(is_of_host)
                {
                    placed.push_str(&self.place(target).unwrap_or_default());
                    (rest, before) = (after, Some('}'));
                    continue 'text;
                }
            }
            if !before.is_some_and(is_of_host) {
                let word = &rest[..rest.find(|c| !is_of_host(c)).unwrap_or(rest.len())];
                if let Some(&host) = self.hosts.get(word).filter(|_| !word.is_empty()) {
                    let own = owns && host == member || self.members.len() == 1;
                    placed.push_str(&if own { "{ip}".to_owned() } else { format!("{{ip:{}}}", host + 1) });
                    (rest, before) = (&rest[word.len()..], Some('}'));
                    continue;
                }
            }
            if counts && c.is_ascii_digit() && !before.is_some_and(|c| c.is_ascii_digit()) {
                let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
                if digits == (member + 1).to_string() {
                    placed.push_str("{id}");
                    (rest, before) = (&rest[digits.len()..], Some('}'));
                    continue;
                }
            }
            placed.push(c);
            (rest, before) = (&rest[c.len_utf8()..], Some(c));
        }
        placed
    }

    /// Where in a node's directory that lies which was mounted at `target`.
    fn place(&self, target: &str) -> Option<String> {
        self.targets.iter().find(|known| *known == target)?;
        let name = target.rsplit('/').next().unwrap_or_default();
        Some(if self.targets.len() == 1 { "{data}".to_owned() } else { format!("{{data}}/{name}") })
    }
}

fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::super::{Beside, Variables};
    use super::*;

    fn cluster(text: &str) -> Cluster {
        let read = |_: &str| Err("no other file".to_owned());
        let beside = Beside { variables: &Variables::default(), read: &read };
        Cluster::of(&Compose::parse(text, &beside).unwrap())
    }

    #[test]
    fn what_differs_between_nodes_becomes_a_placeholder() {
        let text: String = (1..=3)
            .map(|n| {
                format!(
                    "  etcd{n}:\n    image: etcd:3.5\n    command: etcd --name etcd{n} --data-dir /data --listen \
                     http://0.0.0.0:2380 --advertise http://etcd{n}:2380 --initial-cluster \
                     etcd1=http://etcd1:2380,etcd2=http://etcd2:2380,etcd3=http://etcd3:2380 --seed {n}\n    \
                     volumes: ['d{n}:/data']\n    environment: {{ME: node-{n}}}\n"
                )
            })
            .collect();
        let cluster = cluster(&format!("services:\n{text}  web:\n    image: nginx\n"));
        assert_eq!((cluster.nodes, cluster.program.as_deref()), (3, Some("etcd")));
        assert_eq!(
            cluster.arguments.join(" "),
            "--name {ip} --data-dir {data} --listen http://0.0.0.0:2380 --advertise http://{ip}:2380 --initial-cluster \
             {ip:1}=http://{ip:1}:2380,{ip:2}=http://{ip:2}:2380,{ip:3}=http://{ip:3}:2380 --seed {id}"
        );
        assert_eq!(cluster.environment, [("ME".to_owned(), "node-{id}".to_owned())]);
        assert_eq!(cluster.notes, ["nodes are what `etcd1` is; other services are left out: web"]);
    }

    #[test]
    fn copies_of_one_service_are_nodes() {
        let text = "services:\n  s:\n    image: s\n    command: [-listen, 's:80', --dir, /a/x, /b]\n    deploy: {replicas: 3}\n    volumes: [/a, /b, 'c:/c']\n";
        let cluster = cluster(text);
        assert_eq!((cluster.nodes, cluster.program), (3, None));
        assert_eq!(cluster.arguments, ["-listen", "{ip}:80", "--dir", "{data}/a/x", "{data}/b"]);
        assert_eq!(cluster.notes.len(), 1, "{:?}", cluster.notes);
        assert!(cluster.notes[0].starts_with("c at /c is left out"), "{:?}", cluster.notes);
    }

    #[test]
    fn what_cannot_be_made_one_is_said() {
        let text = "services:\n  a: {image: s, command: s --role first}\n  b: {image: s, command: s --role second}\n";
        let roles = cluster(text);
        assert_eq!(roles.arguments, ["--role", "first"]);
        assert_eq!(
            roles.notes,
            ["the argument `first` of `a` is not as that of b, and all nodes have it: mend it"]
        );
        let text = "services:\n  a: {image: s, command: s -x}\n  b: {image: s, command: s -x more, environment: [A=1], ports: [1], scale: 2}\n";
        let uneven = cluster(text);
        assert_eq!((uneven.nodes, uneven.arguments), (2, vec!["-x".to_owned()]));
        assert_eq!(
            uneven.notes,
            [
                "the argument `more` of `b` is left out: `a` has none in its place",
                "the variable A of `b` is left out: `a` has none",
                "port 1 of `b` is left out: `a` has none",
                "`b` is one node, and not 2 copies: nodes are a service each",
            ]
        );
        let others = cluster(
            "services:\n  m: {image: s, command: t}\n  a: {image: s, command: s 1}\n  b: {image: s, command: s 2}\n",
        );
        assert_eq!(
            (others.nodes, others.program.as_deref(), others.arguments),
            (2, Some("s"), vec!["{id}".to_owned()])
        );
        assert_eq!(others.notes, ["nodes are what `a` is; other services are left out: m"]);
        let speaks = cluster(
            "services:\n  m: {image: t}\n  a: {image: s, command: s http://m:1 --m}\n  b: {image: s, command: s http://m:1 --m}\n",
        );
        assert_eq!(speaks.notes[1], "`m` is left out, and `http://m:1` speaks of it: mend it");
        let many = cluster("services:\n  a: {image: s, scale: 12}\n");
        assert_eq!(
            (many.nodes, many.notes),
            (9, vec!["`a` has 12 copies; a cluster has 1 to 9 nodes, so 9 here".to_owned()])
        );
    }

    /// An empty host name once matched the empty word before every slash, for ever.
    #[test]
    fn names_that_are_empty_stand_for_nothing() {
        let text = "services:\n  a:\n    image: s\n    container_name: \"${N1}\"\n    hostname: \"\"\n    command: s / http://a:1/\n";
        assert_eq!(cluster(text).arguments, ["/", "http://{ip}:1/"]);
    }
}
