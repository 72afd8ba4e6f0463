//! The C library, compiled with coverage: hostile texts through the entry points that read them, and results that were
//! damaged on their way back in. A status comes back, an output that was not filled is as it was, and nothing panics.
#![no_main]
#![allow(dead_code, non_camel_case_types, unused_imports)]

include!("../c_library.rs");

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (which, first, second) = input;
    static WORLD: LazyLock<World> = LazyLock::new(world);
    let mut world = WORLD.clone();
    // SAFETY: the memory is there, and no two parts overlap.
    unsafe {
        match which % 4 {
            0 => requests(&mut world, &first, &second),
            1 => lines(&world, &first, &second),
            2 => said(&mut world, &first, &second),
            _ => damaged_results(&mut world, &first, &second),
        }
    }
});

unsafe fn requests(world: &mut World, fields: &[u8], other: &[u8]) {
    let (mut scratch, mut out, mut needed) = ([0; 12_288], [0xA5; 4_096], 0);
    let count = fields.iter().filter(|byte| **byte == 0).count() as u32 + 1;
    let packed = imagxp_packed { size: size_of::<imagxp_packed>(), fields: text(fields), count, vouched: 0 };
    let mut verified = damaged::<imagxp_verified>(&[]);
    let policy = world.policy.as_ptr().cast();
    let keys = keys(world);
    let status = unsafe {
        packed::imagxp_request_verify_packed(&packed, policy, &keys, NOW, buf(&mut scratch), &mut verified)
    };
    assert_eq!(status > 0, verified.status == status);
    let headers = [imagxp_header { name: text(b"x-imagxp-payload"), value: text(other) }];
    let visit = imagxp_visit {
        size: size_of::<imagxp_visit>(),
        method: text(b"GET"),
        scheme: text(b"https"),
        authority: text(fields),
        target: text(other),
        headers: headers.as_ptr(),
        headers_len: 1,
        vouched: 0,
        reserved: 0,
    };
    let mut decision = damaged::<imagxp_decision>(&[]);
    decision.status = if status < 0 { status } else { imagxp::Error::Busy as i32 };
    let told = unsafe {
        let (scratch, out) = (buf(&mut scratch), buf(&mut out));
        story::imagxp_story_publisher(&visit, policy, &verified, scratch, &decision, 0, out, &mut needed)
    };
    assert!(told == 0 || told == imagxp::Error::BufferTooSmall as i32);
    let newlines = out.iter().take(needed).filter(|byte| **byte == b'\n').count();
    assert!(told != 0 || (2..=13).contains(&newlines), "a stranger wrote a line");
}

unsafe fn lines(world: &World, line: &[u8], document: &[u8]) {
    let keys = [text(&world.spki)];
    let (mut log, mut record) = (damaged::<imagxp_log>(document), damaged::<imagxp_record>(&[]));
    let status = unsafe { log::imagxp_log_line(&mut log, keys.as_ptr(), 1, text(line), &mut record) };
    assert_eq!(status == 0, record.fault == 0);
    let (mut scratch, mut findings) = (vec![0; 8_192], damaged::<imagxp_findings>(&[]));
    let documents = [text(document)];
    let _ = unsafe {
        log::imagxp_evidence_prove(text(line), documents.as_ptr(), 1, buf(&mut scratch), &mut findings)
    };
    let _ = unsafe { log::imagxp_evidence_check_manifest(text(line), text(document)) };
}

unsafe fn said(world: &mut World, first: &[u8], second: &[u8]) {
    let (mut scratch, mut judgement) = ([0; 4_096], damaged::<imagxp_judgement>(&[]));
    let (name, none, spki) = (text(b"bot.example.com"), text(&[]), text(&world.spki));
    let status = unsafe {
        let (audiences, scratch) = ([text(second)], buf(&mut scratch));
        let audiences = audiences.as_ptr();
        feedback::imagxp_feedback_verify(text(first), name, spki, audiences, 1, NOW, scratch, &mut judgement)
    };
    assert!(status < 0, "nobody has signed");
    let status = unsafe {
        let (null_i32, null_i64) = (core::ptr::null_mut(), core::ptr::null_mut());
        provenance::imagxp_provenance_verify(spki, text(first), text(second), none, NOW, 9, 9, null_i32, null_i64)
    };
    assert!(status < 0);
    let mut token = damaged::<imagxp_token>(&[]);
    let keys = keys(world);
    let status = unsafe {
        let policy = world.policy.as_ptr().cast();
        broker::imagxp_visa_verify(text(first), 1, none, none, policy, &keys, NOW, buf(&mut scratch), &mut token)
    };
    assert!(status < 0 || status == 1);
}

unsafe fn damaged_results(world: &mut World, first: &[u8], second: &[u8]) {
    let (mut scratch, mut out, mut needed) = (second.to_vec(), [0; 24_576], 0);
    let mut verified = damaged::<imagxp_verified>(first);
    let mut replay = replay(world);
    let policy = world.policy.as_ptr().cast();
    let visit = damaged::<imagxp_visit>(&[]);
    let decision = damaged::<imagxp_decision>(&[]);
    let mut head = imagxp_head { hash: [0; 32], count: 0 };
    let judgement = damaged::<imagxp_judgement>(first);
    unsafe {
        let _ = publisher::imagxp_request_admit(&mut verified, buf(&mut scratch), &mut replay, NOW);
        let (scratch, out) = (buf(&mut scratch), buf(&mut out));
        let _ = evidence::imagxp_evidence_decision(&visit, &verified, &decision, &mut head, out, &mut needed);
        let _ = story::imagxp_story_publisher(&visit, policy, &verified, scratch, &decision, 1, out, &mut needed);
        let _ = feedback::imagxp_story_feedback(text(second), 0, &judgement, scratch, NOW, 0, out, &mut needed);
        let refused = imagxp::Error::Busy as i32;
        let _ = refusal::imagxp_refusal_write(refused, policy, &verified, out, &mut needed);
    }
}
