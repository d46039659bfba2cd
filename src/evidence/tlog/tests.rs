//! The log's parts against known values, and every way of changing it against its check.

use super::{
    Check, Checkpoint, Edge, HASHES, Hash, Kept, KeyError, Kind, MAX_ENTRY, Misfit, NoteError, SigningKey,
    Tampering, Tile, VerifyingKey, consistency, entries, from_tiles, inclusion, leaf_hash, node_hash,
    push_entry, sha256, tiles, verify_consistency, verify_inclusion,
};
use std::collections::BTreeMap;

/// The inputs of the reference vectors of RFC 6962 implementations.
const INPUTS: [&[u8]; 8] = [
    b"",
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
];

/// Their roots, after 0, 1, … 8 of them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaf(n: u64) -> Vec<u8> {
    format!("event {n}").into_bytes()
}

/// RFC 6962 §2.1, word for word.
fn slow_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            node_hash(&slow_root(left), &slow_root(right))
        }
    }
}

fn hashes(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&leaf(n))).collect()
}

fn edge(leaves: &[Hash]) -> Edge {
    let mut edge = Edge::default();
    leaves.iter().for_each(|leaf| edge.push(*leaf, &mut Vec::new()));
    edge
}

#[test]
fn roots_are_those_of_the_reference_vectors() {
    let mut edge = Edge::default();
    for (count, root) in ROOTS.iter().enumerate() {
        assert_eq!(edge.root().to_string(), *root, "{count} leaves");
        if let Some(input) = INPUTS.get(count) {
            edge.push(leaf_hash(input), &mut Vec::new());
        }
    }
}

#[test]
fn roots_of_every_size_are_the_definitions() {
    let all = hashes(1300);
    let mut edge = Edge::default();
    for (at, leaf) in all.iter().enumerate() {
        edge.push(*leaf, &mut Vec::new());
        assert_eq!(edge.root(), slow_root(&all[..=at]), "{} leaves", at + 1);
    }
}

#[test]
fn names_of_tiles_are_the_specifications_and_have_one_spelling() {
    for (kind, index, width, path) in [
        (Kind::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
        (Kind::Hashes(0), 273, 112, "tile/0/273.p/112"),
        (Kind::Hashes(1), 1067, 256, "tile/1/x001/067"),
        (Kind::Entries, 0, 1, "tile/entries/000.p/1"),
        (Kind::Entries, 999_999_999, 256, "tile/entries/x999/x999/999"),
    ] {
        let tile = Tile { kind, index, width };
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
    for wrong in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/8/000",
        "tile/0/1",
        "tile/0/0001",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/-1/000",
        "tile/0/+01",
        "tile/entries/../000",
        "tile/x/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/xxx/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(wrong.parse::<Tile>().is_err(), "{wrong}");
    }
}

/// The example of the specification.
#[test]
fn a_tree_of_70000_has_the_tiles_it_should() {
    let paths: Vec<String> = tiles(70_000).iter().map(Tile::to_string).collect();
    assert_eq!(paths, ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    let paths: Vec<String> = tiles(256).iter().map(Tile::to_string).collect();
    assert_eq!(paths, ["tile/1/000.p/1"]);
    assert!(tiles(0).is_empty());
    let width = |path: &str, size| path.parse::<Tile>().unwrap().full().width_in(size);
    assert_eq!(width("tile/0/273", 70_000), 112);
    assert_eq!(width("tile/0/272", 70_000), 256);
    assert_eq!(width("tile/0/274", 70_000), 0);
    assert_eq!(width("tile/1/000", 255), 0);
    assert_eq!(width("tile/7/000", u64::MAX), 255);
    assert_eq!(tiles(u64::MAX).len(), 9);
}

#[test]
fn bundles_come_apart_as_they_were_put_together() {
    let mut bundle = Vec::new();
    let long = vec![7; MAX_ENTRY];
    for entry in [&b"one"[..], b"", &long] {
        assert!(push_entry(&mut bundle, entry));
    }
    assert!(!push_entry(&mut bundle, &vec![7; MAX_ENTRY + 1]));
    assert_eq!(entries(&bundle).collect::<Vec<_>>(), [Ok(&b"one"[..]), Ok(b""), Ok(&long)]);
    let torn = [&[0, 3][..], b"one", &[0, 9], b"to"].concat();
    assert_eq!(entries(&torn).collect::<Vec<_>>(), [Ok(&b"one"[..]), Err(&[0, 9, b't', b'o'][..])]);
}

#[test]
fn an_edge_is_read_back_from_its_tiles() {
    for size in [0, 1, 255, 256, 257, 600, 65_536, 66_000] {
        let edge = edge(&hashes(size));
        let read = |tile: &Tile| match tile.kind {
            Kind::Hashes(level) => Ok::<_, Misfit>(edge.partial(level)),
            Kind::Entries => unreachable!("the edge is made of hashes"),
        };
        assert_eq!(Edge::read(size, read).unwrap().root(), edge.root(), "{size}");
        if size % 256 != 0 {
            assert!(Edge::read(size, |_| Ok::<_, Misfit>(vec![0; 31])).is_err());
        }
    }
}

#[test]
fn proofs_of_every_pair_of_sizes_hold_and_nothing_else_does() {
    let all = hashes(70);
    let read = |height: u32, index: u64| {
        let width = 1 << height;
        let from = usize::try_from(index).unwrap() * width;
        Ok::<_, ()>(slow_root(&all[from..from + width]))
    };
    let root = |size: u64| slow_root(&all[..usize::try_from(size).unwrap()]);
    for new in 0..=70 {
        for old in 0..=new {
            let proof = consistency(old, new, read).unwrap();
            assert!(verify_consistency((old, &root(old)), (new, &root(new)), &proof), "{old} {new}");
            if 0 < old && old < new {
                assert!(!verify_consistency((old, &root(old - 1)), (new, &root(new)), &proof));
                assert!(!verify_consistency((old, &root(old)), (new, &root(new - 1)), &proof));
                let longer = [proof.clone(), vec![root(1)]].concat();
                assert!(!verify_consistency((old, &root(old)), (new, &root(new)), &longer));
                assert!(!verify_consistency((old, &root(old)), (new, &root(new)), &proof[1..]));
            }
        }
        for index in 0..new {
            let leaf = &all[usize::try_from(index).unwrap()];
            let proof = inclusion(index, new, read).unwrap();
            assert!(verify_inclusion(leaf, index, new, &proof, &root(new)), "{index} of {new}");
            assert!(!verify_inclusion(&root(0), index, new, &proof, &root(new)));
            assert!(!verify_inclusion(
                leaf,
                index,
                new,
                &[proof.clone(), vec![root(1)]].concat(),
                &root(new)
            ));
            if new > 1 {
                assert!(!verify_inclusion(leaf, (index + 1) % new, new, &proof, &root(new)));
                assert!(!verify_inclusion(leaf, index, new, &proof[1..], &root(new)));
            }
        }
    }
    assert!(!verify_inclusion(&all[0], 1, 1, &[], &all[0]));
    assert!(!verify_consistency((2, &root(2)), (1, &root(1)), &[]));
}

#[test]
fn proofs_are_made_from_tiles_of_every_level_and_width() {
    let mut edge = Edge::default();
    let mut filled = Vec::new();
    let leaves = hashes(70_000);
    for (at, leaf) in (1_u64..).zip(&leaves) {
        edge.push(*leaf, &mut filled);
        if ![1, 2, 255, 256, 257, 513, 65_536, 65_537, 70_000].contains(&at) {
            continue;
        }
        let read = |tile: Tile| match filled.iter().find(|full| full.tile == tile) {
            Some(full) => Ok::<_, Misfit>(full.bytes()),
            None => match tile.kind {
                Kind::Hashes(level) => Ok(edge.partial(level)),
                Kind::Entries => Err(Misfit { tile }),
            },
        };
        for index in [0, 1, 254, 255, 256, 300, 65_535, 65_536, at - 1] {
            if index >= at {
                continue;
            }
            let proof = inclusion(index, at, from_tiles(at, read)).unwrap();
            let leaf = &leaves[usize::try_from(index).unwrap()];
            assert!(verify_inclusion(leaf, index, at, &proof, &edge.root()), "{index} of {at}");
        }
        let short = from_tiles(at, |_| Ok::<_, Misfit>(vec![0; 31]));
        assert!(at == 1 || inclusion(0, at, short).is_err());
    }
}

#[test]
fn a_hash_is_read_as_it_is_written_and_nothing_else_is_one() {
    let hash = sha256(b"x");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    for wrong in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
        assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
    }
}

/// The example of the specification of signed notes, and of Go's `note` package.
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn a_note_of_another_implementation_is_verified() {
    let key: VerifyingKey = VKEY.parse().unwrap();
    assert_eq!(key.to_string(), VKEY);
    let verify =
        |note: &str| super::Note::parse(note.as_bytes()).and_then(|note| note.verify(&key).map(str::len));
    assert_eq!(verify(NOTE), Ok(99));
    assert_eq!(verify(&NOTE.replace("answer", "Answer")), Err(NoteError::Forged));
    assert_eq!(verify(&NOTE.replace("PeterNeumann x", "Somebody x")), Err(NoteError::Unsigned));
    let also = format!("{NOTE}\u{2014} Somebody AAAAAAE=\n");
    assert_eq!(verify(&also), Ok(99), "foreign signatures are passed over");
    for wrong in
        ["", "text", "text\n", "text\n\n", "text\n\nno signature\n", "te\txt\n\n\u{2014} a AAAAAAE=\n"]
    {
        assert_eq!(verify(wrong), Err(NoteError::Malformed), "{wrong:?}");
    }
    assert_eq!(verify(NOTE.trim_end()), Err(NoteError::Malformed));
}

#[test]
fn a_damaged_key_is_no_key() {
    for (text, error) in [
        ("", KeyError::Malformed),
        ("a+b", KeyError::Malformed),
        (&VKEY.replace("c74f20a3", "c74f20a4"), KeyError::Identifier),
        (&VKEY.replace("Peter", "Petra"), KeyError::Identifier),
        (&VKEY.replace("ARpc", "Apc2"), KeyError::Algorithm),
        (&VKEY.replace("ARpc", "ARp!"), KeyError::Malformed),
        ("a+00000000+Ag==", KeyError::Algorithm),
    ] {
        assert_eq!(text.parse::<VerifyingKey>().unwrap_err(), error, "{text}");
    }
    assert_eq!(SigningKey::generate("a b").unwrap_err(), KeyError::Name);
    assert_eq!(SigningKey::generate("").unwrap_err(), KeyError::Name);
}

#[test]
fn a_signing_key_comes_back_from_its_text_and_is_not_printed() {
    use crate::secret::ExposeSecret;
    let key = SigningKey::generate("gateway.example.test/audit").unwrap();
    let text = key.secret().unwrap();
    let again = SigningKey::parse(text.expose_secret()).unwrap();
    assert_eq!(again.public(), key.public());
    assert_eq!(again.sign("text\n"), key.sign("text\n"));
    // The base64 may hold plus signs of its own.
    let seed = text.expose_secret().trim_end().splitn(5, '+').nth(4).unwrap().to_owned();
    assert!(seed.len() > 40);
    assert!(!format!("{key:?}").contains(&seed));
    assert!(SigningKey::parse(&text.expose_secret().replace("gateway", "gatewaz")).is_err());
}

fn head(key: &SigningKey, size: u64, root: Hash) -> Checkpoint {
    Checkpoint { origin: key.public().name().to_owned(), size, root }
}

#[test]
fn a_checkpoint_has_one_spelling_and_one_log() {
    let key = SigningKey::generate("gateway.example.test/audit").unwrap();
    let head = head(&key, 70, slow_root(&hashes(70)));
    let note = head.sign(&key);
    assert_eq!(Checkpoint::open(note.as_bytes(), key.public()), Ok(head.clone()));
    let open = |text: &str| Checkpoint::open(key.sign(text).as_bytes(), key.public());
    let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
    assert_eq!(open(&format!("{text}extension\n")), Ok(head.clone()));
    for wrong in [
        text.replace("\n70\n", "\n070\n"),
        text.replace("\n70\n", "\n+70\n"),
        text.replace("\n70\n", "\n"),
        text.replace('=', ""),
        "\n70\n".to_owned(),
    ] {
        assert!(open(&wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(open(&text.replace("/audit", "/other")), Err(NoteError::Origin));
    let other = SigningKey::generate("gateway.example.test/audit").unwrap();
    assert_eq!(Checkpoint::open(head.sign(&other).as_bytes(), key.public()), Err(NoteError::Unsigned));
}

/// A log as files, with the heads of all its sizes.
#[derive(Clone)]
struct Log {
    files: BTreeMap<String, Vec<u8>>,
    size: u64,
    root: Hash,
}

fn log_of(leaves: &[Vec<u8>]) -> Log {
    let mut files = BTreeMap::new();
    let mut edge = Edge::default();
    let mut filled = Vec::new();
    for (index, chunk) in (0..).zip(leaves.chunks(256)) {
        let mut bundle = Vec::new();
        for leaf in chunk {
            assert!(push_entry(&mut bundle, leaf));
            edge.push(leaf_hash(leaf), &mut filled);
        }
        let tile = Tile { kind: Kind::Entries, index, width: chunk.len() as u64 };
        files.insert(tile.to_string(), bundle);
    }
    files.extend(filled.iter().map(|full| (full.tile.to_string(), full.bytes())));
    for tile in tiles(edge.size()) {
        if let Kind::Hashes(level) = tile.kind {
            files.insert(tile.to_string(), edge.partial(level));
        }
    }
    Log { files, size: edge.size(), root: edge.root() }
}

fn leaves(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(leaf).collect()
}

fn kept(size: u64) -> Kept {
    let root = slow_root(&hashes(size));
    Kept { checkpoint: Checkpoint { origin: "log".into(), size, root }, name: format!("head-{size}") }
}

fn check(log: &Log, kept: Vec<Kept>) -> Result<(), Tampering> {
    let head = Checkpoint { origin: "log".into(), size: log.size, root: log.root };
    let mut check = Check::new(head, kept)?;
    while let Some(tile) = check.wants() {
        check.feed(log.files.get(&tile.to_string()).map(Vec::as_slice))?;
    }
    check.finish()
}

#[test]
fn whole_logs_of_any_size_agree_with_every_head_kept_of_them() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 700] {
        let log = log_of(&leaves(size));
        let sizes = [0, 1, 100, 256, 300, 512, 700].into_iter().filter(|s| *s <= size).chain([size]);
        check(&log, sizes.map(kept).collect()).unwrap();
    }
    check(&log_of(&leaves(65_536 + 300)), Vec::new()).unwrap();
}

#[test]
fn any_flipped_byte_is_found_at_its_index() {
    let log = log_of(&leaves(600));
    for (path, bytes) in &log.files {
        let tile: Tile = path.parse().unwrap();
        for at in (0..bytes.len()).step_by(41).chain([bytes.len() - 1]) {
            let mut changed = log.clone();
            changed.files.get_mut(path).unwrap()[at] ^= 1;
            let found = check(&changed, Vec::new()).unwrap_err();
            let first = match tile.kind {
                Kind::Entries => {
                    let mut rest = at;
                    let before = entries(bytes).take_while(|entry| {
                        let length = entry.unwrap().len() + 2;
                        let passed = rest >= length;
                        rest = rest.saturating_sub(length);
                        passed
                    });
                    tile.index * HASHES + before.count() as u64
                }
                Kind::Hashes(0) => tile.index * HASHES + at as u64 / 32,
                Kind::Hashes(_) => at as u64 / 32 * HASHES,
            };
            // A flipped length moves the entries behind it: the index is its own or, where the bundle no longer comes apart, a later one.
            assert!(
                found.index == first || (tile.kind == Kind::Entries && found.index > first),
                "{path} {at}: {found}"
            );
            assert_eq!(found.before, None);
        }
    }
}

#[test]
fn dropped_reordered_and_changed_events_are_found_at_their_index() {
    let log = log_of(&leaves(600));
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut changed = leaves(600);
        change(&mut changed);
        // The bundles are made anew under their old names, the hashes are the old ones.
        let mut forged = log.clone();
        for (path, bytes) in log_of(&changed).files.into_iter().filter(|(path, _)| path.contains("entries")) {
            let index = path.parse::<Tile>().unwrap().index;
            let width = Tile { kind: Kind::Entries, index, width: HASHES }.width_in(600);
            forged.files.insert(Tile { kind: Kind::Entries, index, width }.to_string(), bytes);
        }
        check(&forged, Vec::new()).unwrap_err()
    };
    assert_eq!(with(&|all| drop(all.remove(300))).index, 300);
    assert_eq!(with(&|all| all.swap(17, 400)).index, 17);
    assert_eq!(with(&|all| all[599] = b"event 5990".to_vec()).index, 599);
    assert_eq!(with(&|all| all.insert(5, b"new".to_vec())).index, 5);
    assert_eq!(with(&|all| all.truncate(590)).index, 590);
}

/// A log beyond 256 full bundles, so that hashes stand on three levels, as in one of a million.
#[test]
fn one_bad_event_among_very_many_is_found_at_its_index() {
    let all = leaves(66_000);
    let mut log = log_of(&all);
    assert_eq!(check(&log, Vec::new()), Ok(()));
    for bad in [0, 255, 256, 40_000, 65_535, 65_536, 65_999] {
        let index = bad / 256;
        let chunk = all.chunks(256).nth(index).unwrap();
        let mut bundle = Vec::new();
        for (at, leaf) in chunk.iter().enumerate() {
            let leaf = if index * 256 + at == bad { b"bad" } else { leaf.as_slice() };
            assert!(push_entry(&mut bundle, leaf));
        }
        let path = Tile { kind: Kind::Entries, index: index as u64, width: chunk.len() as u64 }.to_string();
        let good = log.files.insert(path.clone(), bundle).unwrap();
        assert_eq!(check(&log, Vec::new()).unwrap_err().index, bad as u64);
        log.files.insert(path, good);
    }
}

#[test]
fn a_log_made_anew_with_its_own_key_is_found_by_a_kept_head() {
    let mut changed = leaves(600);
    changed[300] = b"another event".to_vec();
    let forged = log_of(&changed);
    check(&forged, Vec::new()).unwrap();
    let found = check(&forged, vec![kept(500), kept(256), kept(290), kept(310)]).unwrap_err();
    assert_eq!((found.index, found.before), (290, Some(310)));
    assert!(
        found.to_string().contains("between 290 and 309") && found.to_string().contains("head-310"),
        "{found}"
    );
    let found = check(&forged, vec![kept(300), kept(301)]).unwrap_err();
    assert!(found.to_string().contains("first bad index: 300:"), "{found}");
}

#[test]
fn a_truncated_tail_is_found_against_a_kept_head() {
    let short = log_of(&leaves(590));
    check(&short, vec![kept(590)]).unwrap();
    let found = check(&short, vec![kept(600), kept(100)]).unwrap_err();
    assert_eq!(found.index, 590);
    assert!(found.what.contains("tail"), "{found}");
}

#[test]
fn a_missing_tile_is_found_and_so_is_a_head_of_other_events() {
    let log = log_of(&leaves(600));
    for path in log.files.keys() {
        let mut less = log.clone();
        less.files.remove(path);
        let found = check(&less, Vec::new()).unwrap_err();
        assert!(found.what.contains("missing"), "{path}: {found}");
    }
    let mut other = log.clone();
    other.root = leaf_hash(b"other");
    let found = check(&other, vec![kept(512)]).unwrap_err();
    assert_eq!((found.index, found.before), (512, Some(600)));
}
