//! The reader against serde_json: what it accepts, serde_json accepts with the same value, and the canonical form is stable.
#![no_main]

use imagxp::codec::json::{Document, Limits, Node};
use imagxp::codec::{jcs, writer::Writer};
use libfuzzer_sys::fuzz_target;

fn canonical(text: &[u8]) -> Option<String> {
    let mut nodes = vec![Node::default(); 1_024];
    let document = Document::parse(text, &Limits::WIDE, &mut nodes).ok()?;
    let mut out = vec![0; 8 * text.len() + 64];
    let mut writer = Writer::new(&mut out);
    jcs::write(&document.root(), &mut writer).unwrap();
    Some(writer.finish().unwrap().0.to_owned())
}

fuzz_target!(|text: &[u8]| {
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    let Some(ours) = canonical(text) else { return };
    // serde_json has a depth limit of 128; ours is 64.
    theirs.expect("we are the stricter reader");
    assert_eq!(canonical(ours.as_bytes()).as_deref(), Some(&*ours), "canonical form is a fixed point");
    let mut nodes = [Node::default(); 64];
    if let Ok(document) = Document::parse(text, &Limits::PAYLOAD, &mut nodes) {
        assert_eq!(document.text().as_bytes(), text, "the bounds are only stricter");
    }
});
