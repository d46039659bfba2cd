//! XML as SAML needs it: bounded before it is parsed, without document types, looked at by namespace and name alone.

use uppsala::{Document, NodeId, NodeKind, Parser};

/// What a document may have, found before a parser sees it.
pub(super) struct Bounds {
    /// Bytes.
    bytes: usize,
    elements: usize,
    /// Attributes and namespace declarations.
    attributes: usize,
    depth: usize,
    /// Neither comments, processing instructions nor CDATA: nothing that one reader of a text sees and another does not.
    plain: bool,
}

/// A response of an identity provider, or an assertion that was encrypted.
pub(super) const MESSAGE: Bounds =
    Bounds { bytes: 256 * 1024, elements: 10_000, attributes: 20_000, depth: 32, plain: true };
/// Metadata, which people write and comment.
pub(super) const METADATA: Bounds =
    Bounds { bytes: 1024 * 1024, elements: 20_000, attributes: 40_000, depth: 32, plain: false };

/// The most attributes of one element: parsers compare them pairwise.
const MAX_ATTRIBUTES: usize = 64;

/// A parsed document.
pub(super) struct Tree<'a> {
    pub(super) document: Document<'a>,
    pub(super) root: NodeId,
}

impl<'a> Tree<'a> {
    /// Parses a document that keeps to the bounds.
    pub(super) fn parse(text: &'a str, bounds: &Bounds) -> Result<Self, String> {
        scan(text, bounds).map_err(str::to_owned)?;
        // The scan has counted the same depth; the parser's own limit holds if the two ever disagree.
        let depth = u32::try_from(bounds.depth).unwrap_or(u32::MAX);
        let document = Parser::new()
            .with_max_depth(depth)
            .with_forbid_dtd(true)
            .with_forbid_entities(true)
            .parse(text)
            .map_err(|error| format!("it is no well-formed XML: {error}"))?;
        let root = document.document_element().ok_or("it has no element")?;
        Ok(Self { document, root })
    }

    /// Whether a node is the element of that namespace and name.
    pub(super) fn is(&self, node: NodeId, namespace: &str, name: &str) -> bool {
        self.document.element(node).is_some_and(|element| element.name.matches(Some(namespace), name))
    }

    /// The child elements, whatever they are.
    pub(super) fn children(&self, node: NodeId) -> Vec<NodeId> {
        let children = self.document.children(node).into_iter();
        children.filter(|child| self.document.element(*child).is_some()).collect()
    }

    /// The child elements of that namespace and name.
    pub(super) fn named(&self, node: NodeId, namespace: &str, name: &str) -> Vec<NodeId> {
        let children = self.children(node).into_iter();
        children.filter(|child| self.is(*child, namespace, name)).collect()
    }

    /// The one child of that namespace and name, if any; a second one is an error.
    pub(super) fn child(&self, node: NodeId, namespace: &str, name: &str) -> Result<Option<NodeId>, String> {
        match self.named(node, namespace, name).as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(format!("it has more than one {name} where one belongs")),
        }
    }

    /// The one child of that namespace and name.
    pub(super) fn need(&self, node: NodeId, namespace: &str, name: &str) -> Result<NodeId, String> {
        self.child(node, namespace, name)?.ok_or_else(|| format!("it has no {name}"))
    }

    /// Every element of that namespace and name in the document, at any depth.
    pub(super) fn everywhere(&self, namespace: &str, name: &str) -> Vec<NodeId> {
        self.document.get_elements_by_tag_name_ns(namespace, name)
    }

    /// An attribute without a namespace: `ID` is not `other:ID`.
    pub(super) fn attribute(&self, node: NodeId, name: &str) -> Option<&str> {
        let attributes = &self.document.element(node)?.attributes;
        attributes
            .iter()
            .find(|attribute| attribute.name.namespace_uri.is_none() && attribute.name.local_name == name)
            .map(|attribute| &*attribute.value)
    }

    /// The whole text of an element: every piece of it, whatever stands between them. `None` when it has child elements.
    pub(super) fn text(&self, node: NodeId) -> Option<String> {
        let mut text = String::new();
        for child in self.document.children(node) {
            match self.document.node_kind(child)? {
                NodeKind::Text(piece) | NodeKind::CData(piece) => text.push_str(piece),
                NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_) => {}
                _ => return None,
            }
        }
        Some(text)
    }
}

/// Counts what a document has without building anything.
fn scan(text: &str, bounds: &Bounds) -> Result<(), &'static str> {
    const UNENDED: &str = "it ends inside its markup";
    if text.len() > bounds.bytes {
        return Err("it is too long");
    }
    let (mut elements, mut attributes, mut depth) = (0_usize, 0_usize, 0_usize);
    let mut rest = text;
    while let Some((before, markup)) = rest.split_once('<') {
        let at_start = before.is_empty() && rest.len() == text.len();
        rest = if markup.starts_with("!--") || markup.starts_with("![CDATA[") {
            if bounds.plain {
                return Err("it holds a comment or CDATA, which readers of texts disagree about");
            }
            let end = if markup.starts_with("!--") { "-->" } else { "]]>" };
            markup.split_once(end).ok_or(UNENDED)?.1
        } else if markup.starts_with('!') {
            return Err("it declares a document type or entities");
        } else if markup.starts_with('?') {
            if bounds.plain && !(at_start && markup.starts_with("?xml ")) {
                return Err("it holds a processing instruction");
            }
            markup.split_once("?>").ok_or(UNENDED)?.1
        } else if markup.starts_with('/') {
            depth = depth.checked_sub(1).ok_or("it closes what it did not open")?;
            markup.split_once('>').ok_or(UNENDED)?.1
        } else {
            let tag = tag(markup).ok_or(UNENDED)?;
            elements += 1;
            attributes += tag.attributes;
            // An empty element is as deep as one with content.
            if depth >= bounds.depth {
                return Err("its elements are nested too deeply");
            }
            depth += usize::from(!tag.empty);
            if elements > bounds.elements || attributes > bounds.attributes || tag.attributes > MAX_ATTRIBUTES
            {
                return Err("it has too many elements or attributes");
            }
            tag.rest
        };
    }
    Ok(())
}

struct Tag<'a> {
    attributes: usize,
    empty: bool,
    rest: &'a str,
}

/// Reads a start tag up to its end; `None` when it has none. Quoted values may hold `>`, and never `<`.
fn tag(markup: &str) -> Option<Tag<'_>> {
    let (mut quote, mut attributes, mut last) = (None, 0, b' ');
    for (at, byte) in markup.bytes().enumerate() {
        match (quote, byte) {
            (_, b'<') => return None,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'=') => attributes += 1,
            (None, b'>') => {
                return Some(Tag { attributes, empty: last == b'/', rest: markup.get(at + 1..)? });
            }
            (None, _) => {}
        }
        last = byte;
    }
    None
}

/// Text as an attribute's value, in its canonical form (Canonical XML §2.3); control characters have no place in it.
pub(super) fn in_attribute(text: &str) -> String {
    escaped(text, &[('&', "&amp;"), ('<', "&lt;"), ('"', "&quot;")])
}

/// Text as an element's content, in its canonical form; control characters have no place in it.
pub(super) fn in_element(text: &str) -> String {
    escaped(text, &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")])
}

fn escaped(text: &str, special: &[(char, &str)]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match special.iter().find(|(one, _)| *one == c) {
            Some((_, reference)) => escaped.push_str(reference),
            None => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        Tree::parse(text, &MESSAGE).is_err()
    }

    #[test]
    fn bounds_hold_to_the_element() {
        for (name, fits, over) in [
            (
                "depth",
                "<a>".repeat(31) + "<b/>" + &"</a>".repeat(31),
                "<a>".repeat(32) + "<b/>" + &"</a>".repeat(32),
            ),
            (
                "elements",
                format!("<r>{}</r>", "<a/>".repeat(9_999)),
                format!("<r>{}</r>", "<a/>".repeat(10_000)),
            ),
            (
                "attributes",
                format!("<r {}/>", (0..64).map(|n| format!("a{n}='' ")).collect::<String>()),
                format!("<r {}/>", (0..65).map(|n| format!("a{n}='' ")).collect::<String>()),
            ),
            (
                "all attributes",
                format!("<r>{}</r>", "<a b='' c='' d=''/>".repeat(6_666)),
                format!("<r>{}</r>", "<a b='' c='' d=''/>".repeat(6_667)),
            ),
            (
                "bytes",
                format!("<r>{}</r>", "x".repeat(256 * 1024 - 7)),
                format!("<r>{}</r>", "x".repeat(256 * 1024 - 6)),
            ),
        ] {
            assert!(!refused(&fits), "{name}");
            assert!(refused(&over), "{name}");
        }
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        for text in [
            "<!DOCTYPE r><r/>",
            "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><r>&e;</r>",
            "<?xml version='1.0'?><!DOCTYPE r [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]><r>&b;</r>",
            "<r>&e;</r>",
            "<r>a<!-- -->b</r>",
            "<r><![CDATA[a]]></r>",
            "<r><?php x?></r>",
            " <?xml version='1.0'?><r/>",
            "<?xml-stylesheet href='x'?><r/>",
            "<r><a></r></a>",
            "<r a='<'/>",
            "<r",
            "</r>",
            "",
            "text",
            "<r/><r/>",
        ] {
            assert!(refused(text), "{text}");
        }
        assert!(!refused("<?xml version='1.0' encoding='UTF-8'?><r a='>' b=\"'/>\">&lt;&#65;</r>"));
    }

    #[test]
    fn metadata_may_be_commented_and_still_declares_no_entities() {
        assert!(Tree::parse("<!-- <!DOCTYPE --><r><![CDATA[<a>]]></r>", &METADATA).is_ok());
        assert!(Tree::parse("<!-- --><!DOCTYPE r><r/>", &METADATA).is_err());
    }

    #[test]
    fn texts_are_whole_and_attributes_have_no_namespace() {
        let tree =
            Tree::parse("<r xmlns:o='urn:o' o:ID='x'>alice<!-- -->@example<![CDATA[.test]]></r>", &METADATA);
        let tree = tree.unwrap();
        assert_eq!(tree.text(tree.root).unwrap(), "alice@example.test");
        assert_eq!(tree.attribute(tree.root, "ID"), None);
        let nested = Tree::parse("<r>a<b/>c</r>", &MESSAGE).unwrap();
        assert_eq!(nested.text(nested.root), None);
    }
}
