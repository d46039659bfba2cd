//! Holds the house of docs/architecture.md: arrows between rooms run one way, and never in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use syn::visit::{self, Visit};

/// Rooms by rank, highest first; rooms of one line are of one rank. An arrow may run down or, without a circle, along.
const RANKS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["demo"],
    &["config"],
    &["client", "gateway"],
    &["gateway::api", "gateway::console", "gateway::accept", "gateway::store", "gateway::cluster"],
    &["gateway::session"],
    &["gateway::pipeline"],
    &["gateway::respond", "gateway::analyse"],
    &["gateway::mask", "gateway::record", "gateway::audit"],
    &["gateway::upstream"],
    &["gateway::approval"],
    &["gateway::policy"],
    &["gateway::identity", "gateway::certs"],
    &["gateway::outbound", "gateway::framing"],
    &["evidence"],
    &["tunnel"],
    &["tls", "wire"],
    &["telemetry", "secret", "clock", "id"],
];

#[test]
fn every_arrow_runs_down() {
    let arrows = arrows();
    assert!(arrows.len() > 20, "the test must see the house, it saw {} arrows", arrows.len());
    let wrong: Vec<String> = arrows
        .iter()
        .filter(|((from, to), _)| rank(from) > rank(to))
        .map(|((from, to), places)| format!("{from} → {to} in {}", places.join(", ")))
        .collect();
    assert!(wrong.is_empty(), "arrows that run backwards:\n{}", wrong.join("\n"));
}

#[test]
fn no_rooms_form_a_circle() {
    let arrows = arrows();
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        out.entry(from).or_default().push(to);
    }
    for room in out.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = out[room].clone();
        while let Some(next) = open.pop() {
            assert_ne!(next, *room, "{room} can reach itself");
            if seen.insert(next) {
                open.extend(out.get(next).into_iter().flatten());
            }
        }
    }
}

#[test]
fn laptop_and_gateway_share_only_wire_and_evidence() {
    for (from, to) in arrows().keys() {
        let crossing = (from == "client" && to.starts_with("gateway"))
            || (from.starts_with("gateway") && to == "client");
        assert!(!crossing, "{from} → {to}");
    }
}

#[test]
fn only_the_store_knows_sql() {
    for (path, text) in sources() {
        let room = room_of(&path);
        assert!(
            room == "gateway::store" || !text.contains(concat!("sql", "x::")),
            "{} knows SQL",
            path.display()
        );
    }
}

#[test]
fn every_file_opens_by_naming_its_room() {
    for (path, text) in sources() {
        let exempt = path.ends_with("main.rs");
        assert!(exempt || text.starts_with("//! "), "{} opens without a `//!` sentence", path.display());
    }
}

#[test]
fn no_arrow_hides_behind_a_star() {
    for (path, text) in sources() {
        let hidden = text.lines().map(str::trim).any(|l| l.starts_with("use crate::") && l.contains('*'));
        assert!(!hidden, "{} imports a star", path.display());
    }
}

/// Every arrow between two rooms, with the files it stands in.
fn arrows() -> BTreeMap<(String, String), Vec<String>> {
    let mut arrows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (path, text) in product_sources() {
        let file = parse(&path, &text);
        let mut reader = Reader { module: module_of(&path), found: Vec::new() };
        reader.visit_file(&file);
        let from = room_of(&path);
        for target in reader.found {
            let Some(to) = room(&target) else { continue };
            let inside = to == from || (from == "gateway" && path.ends_with("gateway/mod.rs"));
            if !inside {
                let places = arrows.entry((from.clone(), to)).or_default();
                let place = path.display().to_string();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
    }
    arrows
}

/// Collects every path into this crate, `use` trees unfolded, `super` and `self` resolved.
struct Reader {
    module: Vec<String>,
    found: Vec<Vec<String>>,
}

impl Reader {
    fn resolve(&mut self, path: &[String]) {
        let absolute = match path.first().map(String::as_str) {
            Some("crate" | "hoopctl") => path[1..].to_vec(),
            Some("super") => {
                let ups = path.iter().take_while(|s| *s == "super").count();
                let kept = self.module.len().saturating_sub(ups);
                [&self.module[..kept], &path[ups..]].concat()
            }
            _ => return,
        };
        self.found.push(absolute);
    }

    fn unfold(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.unfold(&path.tree, prefix);
                prefix.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.unfold(item, prefix)),
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                prefix.push(ident.to_string());
                self.resolve(prefix);
                prefix.pop();
            }
            syn::UseTree::Glob(_) => self.resolve(prefix),
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.unfold(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.resolve(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // Macro arguments are tokens, not paths: read `crate :: a :: b` from their text.
        let text = mac.tokens.to_string().replace(' ', "");
        for (at, _) in text.match_indices("crate::") {
            let path: String =
                text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            self.resolve(&path.split("::").map(str::to_owned).collect::<Vec<_>>());
        }
        visit::visit_macro(self, mac);
    }

    // `pub(super)` opens a door to above; it leads nowhere.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    // Tests stand in their file for convenience; what they import is not the house's structure.
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(item) {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }
}

fn rank(room: &str) -> usize {
    RANKS
        .iter()
        .position(|line| line.contains(&room))
        .unwrap_or_else(|| panic!("the room `{room}` has no rank: add it to RANKS and docs/architecture.md"))
}

/// The room an absolute path leads into; `None` for items of `lib.rs` itself.
fn room(path: &[String]) -> Option<String> {
    let first = path.first()?;
    if first != "gateway" {
        return RANKS.iter().any(|line| line.contains(&first.as_str())).then(|| first.clone());
    }
    let second = path.get(1).map(|s| format!("gateway::{s}"));
    match second {
        Some(inner) if RANKS.iter().any(|line| line.contains(&inner.as_str())) => Some(inner),
        // `crate::gateway::Gateway`: what the assembly offers.
        _ => Some("gateway".to_owned()),
    }
}

fn room_of(path: &Path) -> String {
    let module = module_of(path);
    if module.is_empty() {
        return if path.ends_with("main.rs") { "main" } else { "lib" }.to_owned();
    }
    room(&module).unwrap_or_else(|| panic!("{} is in no room", path.display()))
}

/// `src/gateway/audit/journal.rs` → `["gateway", "audit", "journal"]`.
fn module_of(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.iter().skip(1).map(|p| p.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

fn parse(path: &Path, text: &str) -> syn::File {
    syn::parse_file(text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn is_test(item: &syn::ItemMod) -> bool {
    item.attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// The sources without those that only tests compile: files and folders declared by a `#[cfg(test)] mod`.
fn product_sources() -> Vec<(PathBuf, String)> {
    let sources = sources();
    let mut tests = Vec::new();
    for (path, text) in &sources {
        let module = module_of(path);
        for item in parse(path, text).items {
            if let syn::Item::Mod(item) = item
                && is_test(&item)
            {
                tests.push([module.clone(), vec![item.ident.to_string()]].concat());
            }
        }
    }
    sources
        .into_iter()
        .filter(|(path, _)| !tests.iter().any(|test| module_of(path).starts_with(test)))
        .collect()
}

/// Every source file with its path relative to the package.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("src")];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(root).unwrap().to_owned();
                if relative != Path::new("src/lib.rs") {
                    files.push((relative, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    files.sort();
    files
}
