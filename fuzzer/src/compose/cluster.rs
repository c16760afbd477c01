//! From services to the nodes of one cluster. A target's nodes all run the same program: the largest group of services
//! of one image are its nodes, the others are left out. What differs from one to the other becomes a placeholder.

use super::{Compose, Health, Service};

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
        let named = Named { members: &members, targets: targets(&members) };
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
        let copies = if members.len() == 1 { usize::from(first.copies.max(1)) } else { members.len() };
        Self {
            nodes: u8::try_from(copies.min(9)).unwrap_or(9),
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

/// The largest group of services of one image, or of one source; what else there is, is noted.
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
    if members.len() > 9 {
        notes
            .push(format!("a cluster has 9 nodes at most; {} services of one image are more", members.len()));
        members.truncate(9);
    }
    members
}

/// What makes services one of a kind.
fn kind(service: &Service) -> (&Option<String>, &Option<String>) {
    (&service.image, &service.build)
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
        notes.push(format!("the {what} `{first}` of the first node is not as that of others: mend it"));
        self.placed(first, 0, true, false)
    }

    /// A text with placeholders: paths of volumes, hosts, and with `owns` the member's own host, with `counts` its number.
    fn placed(&self, text: &str, member: usize, owns: bool, counts: bool) -> String {
        let mut placed = String::new();
        let mut rest = text;
        let mut before: Option<char> = None;
        'text: while let Some(c) = rest.chars().next() {
            for target in self.targets.iter().filter(|target| target.len() > 1) {
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
                if let Some(host) =
                    self.members.iter().position(|one| one.hosts.iter().any(|host| host == word))
                {
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
    use super::*;

    fn cluster(text: &str) -> Cluster {
        Cluster::of(&Compose::parse(text).unwrap())
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
        let cluster = cluster(text);
        assert_eq!(cluster.arguments, ["--role", "first"]);
        assert_eq!(
            cluster.notes,
            ["the argument `first` of the first node is not as that of others: mend it"]
        );
    }
}
