//! What a publisher lets agents know of its policy, at [`spec::POLICY_PATH`] (protocol.md section 6).

use crate::codec::writer::{Writer, write_whole};
use crate::money;
use crate::policy::{Policy, ResourceBinding, Role, VisaBinding};
use crate::{Error, spec};

/// Writes the discovery document in the policy's own member names: what is admitted, what it costs and where to buy it,
/// and how requests and visas are judged. 4,096 bytes suffice for most.
///
/// What is left out is the publisher's own business: the strategy for visitors without headers, where key sets are
/// fetched from, and development mode.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write<'o>(policy: &Policy<'_>, out: &'o mut [u8]) -> Result<&'o str, Error> {
    write_whole(out, |writer| {
        write_to(policy, writer);
        Ok(())
    })
}

/// As [`write`], into a writer.
pub fn write_to(policy: &Policy<'_>, writer: &mut Writer<'_>) {
    writer.text("{\"version\":");
    writer.string(spec::VERSION);
    write_switches(policy, writer);
    write_judgement(policy, writer);
    write_audiences(policy, writer);
    write_payment(policy, writer);
    writer.text("}");
}

fn write_switches(policy: &Policy<'_>, writer: &mut Writer<'_>) {
    let switches = [
        (",\"allowTraining\":", policy.admits(crate::Purpose::CrawlTraining)),
        (",\"allowRAG\":", policy.admits(crate::Purpose::RagRetrieval)),
        (",\"attributionRequired\":", policy.asks_attribution()),
        (",\"allowAdSupportedAccess\":", policy.admits_ads()),
        (",\"requiresPayment\":", policy.requires_payment()),
        (",\"requireIdentityBinding\":", policy.requires_identity()),
        (",\"visa_single_use\":", policy.visa_single_use()),
    ];
    for (name, on) in switches {
        writer.text(name);
        writer.text(if on { "true" } else { "false" });
    }
}

fn write_judgement(policy: &Policy<'_>, writer: &mut Writer<'_>) {
    writer.text(match policy.resource_binding() {
        ResourceBinding::Exact => ",\"resource_binding\":\"exact\"",
        ResourceBinding::Authority => ",\"resource_binding\":\"authority\"",
        ResourceBinding::Off => ",\"resource_binding\":\"off\"",
    });
    writer.text(match policy.visa_binding() {
        VisaBinding::Prefer => ",\"visa_binding\":\"prefer\"",
        VisaBinding::Require => ",\"visa_binding\":\"require\"",
    });
    for (name, ms) in [(",\"window\":", policy.window_ms()), (",\"skew\":", policy.skew_ms())] {
        writer.text(name);
        writer.integer(ms.into());
    }
}

fn write_audiences(policy: &Policy<'_>, writer: &mut Writer<'_>) {
    for (index, audience) in policy.audiences().enumerate() {
        writer.text(if index == 0 { ",\"audiences\":[" } else { "," });
        writer.string(audience);
    }
    writer.text(if policy.audiences().next().is_some() { "]" } else { "" });
}

/// The price, the pointer, and who sells what is good here.
fn write_payment(policy: &Policy<'_>, writer: &mut Writer<'_>) {
    if policy.price() > 0 {
        writer.text(",\"price\":");
        writer.text(&money::decimal(policy.price()));
    }
    if !policy.payment_pointer().is_empty() {
        writer.text(",\"paymentPointer\":");
        writer.string(policy.payment_pointer());
    }
    let broker = policy.broker_url();
    let mut members = 0_u8;
    let mut member = |name: &str, value: &str, end: &str| {
        writer.text(if members == 0 { ",\"monetization\":{" } else { "," });
        writer.text(name);
        writer.string(value);
        writer.text(end);
        members = members.saturating_add(1);
    };
    if !broker.is_empty() {
        member("\"brokerUrl\":", broker, "");
    }
    for issuer in policy.issuers().filter(|issuer| issuer.role == Role::AdNetwork || issuer.iss != broker) {
        let name = match issuer.role {
            Role::Broker => "\"paymentConfig\":{\"issuer\":",
            Role::AdNetwork => "\"adNetwork\":{\"issuer\":",
        };
        member(name, issuer.iss, "}");
    }
    writer.text(if members == 0 { "" } else { "}" });
}
