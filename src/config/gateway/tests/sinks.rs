//! `[[sink]]`: what is read, and with which defaults.

use url::Host;

use super::{BASE, folder, good};
use crate::{
    gateway::audit::sinks::{Facility, GenAi, ReceiverConfig, Signals, SinkConfig, Temporality},
    secret,
};

fn sinks(written: &str) -> Vec<SinkConfig> {
    good(&folder(), &format!("{BASE}{written}")).sinks
}

#[test]
fn every_kind_of_sink_is_read_with_its_defaults() {
    let sinks = sinks(
        "[[sink]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://siem.example.com/x\"\n\
         [[sink]]\nname = \"b\"\nkind = \"syslog\"\naddress = \"logs.example.com\"\n\
         [[sink]]\nname = \"c\"\nkind = \"otlp\"\nurl = \"http://127.0.0.1:4318\"\n",
    );
    let names: Vec<_> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(sinks.iter().all(|sink| sink.kinds.is_empty() && !sink.from_start));
    let ReceiverConfig::Webhook(webhook) = &sinks[0].receiver else { panic!() };
    assert!(webhook.secrets.is_empty() && !webhook.lines && webhook.to.headers.is_empty());
    let ReceiverConfig::Syslog(syslog) = &sinks[1].receiver else { panic!() };
    assert_eq!((&syslog.host, syslog.port), (&Host::parse("logs.example.com").unwrap(), 6514));
    assert_eq!((syslog.tls, syslog.facility, syslog.enterprise), (true, Facility(13), 32473));
    let ReceiverConfig::Otlp(otlp) = &sinks[2].receiver else { panic!() };
    assert_eq!(otlp.signals, Signals { logs: true, traces: true, metrics: true });
    assert_eq!((otlp.genai, otlp.temporality, otlp.gzip), (GenAi::Latest, Temporality::Cumulative, true));
}

#[test]
fn everything_that_a_sink_can_say_is_taken_over() {
    let sinks = sinks(
        "[[sink]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://h\"\nkinds = [\"login\", \"anomaly\"]\nfrom = \"start\"\n\
         format = \"ndjson\"\nca = \"cert.pem\"\nsecrets = [{ env = \"A\" }, { file = \"secret\" }]\n\
         headers = { Authorization = { env = \"B\", prefix = \"Bearer \" } }\n\
         [[sink]]\nname = \"b\"\nkind = \"syslog\"\naddress = \"[::1]:601\"\nplaintext = true\nfacility = \"local3\"\n\
         enterprise = 99\nmax_message = \"64KiB\"\n\
         [[sink]]\nname = \"c\"\nkind = \"syslog\"\naddress = \"10.0.0.1:443\"\nclient_certificate = \"cert.pem\"\n\
         client_key = \"key.pem\"\n\
         [[sink]]\nname = \"d\"\nkind = \"otlp\"\nurl = \"https://h/otlp\"\nsignals = [\"metrics\", \"logs\"]\ngenai = \"both\"\n\
         temporality = \"delta\"\ngzip = false\n",
    );
    assert_eq!((sinks[0].kinds.len(), sinks[0].from_start), (2, true));
    let ReceiverConfig::Webhook(webhook) = &sinks[0].receiver else { panic!() };
    assert!(webhook.lines && webhook.to.ca.is_some());
    assert_eq!(webhook.secrets.len(), 2);
    let header = &webhook.to.headers[0];
    assert_eq!((header.name.as_str(), header.prefix.as_str()), ("authorization", "Bearer "));
    assert_eq!(header.value, secret::Source::Env("B".to_owned()));
    let ReceiverConfig::Syslog(syslog) = &sinks[1].receiver else { panic!() };
    assert_eq!((syslog.port, syslog.tls, syslog.enterprise, syslog.most), (601, false, 99, 64 * 1024));
    let ReceiverConfig::Syslog(syslog) = &sinks[2].receiver else { panic!() };
    assert_eq!((syslog.port, syslog.client.is_some()), (443, true));
    let ReceiverConfig::Otlp(otlp) = &sinks[3].receiver else { panic!() };
    assert_eq!(otlp.signals, Signals { logs: true, traces: false, metrics: true });
    assert_eq!((otlp.genai, otlp.temporality, otlp.gzip), (GenAi::Both, Temporality::Delta, false));
}
