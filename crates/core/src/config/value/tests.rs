use super::Value::{
    self, Bytes, BytesOrPercent, Integer, KeyspaceEvents, OutputBufferLimits, Percentiles, Save,
    Text, Word, YesNo,
};

#[test]
fn values_become_what_config_get_prints() {
    let cases: [(Value, &str, &str); 18] = [
        (YesNo, "YES", "yes"),
        (Integer(0, 10), "007", "7"),
        (Integer(-5, 0), "-2", "-2"),
        (Bytes(0), "64mb", "67108864"),
        (Bytes(0), "64M", "64000000"),
        (Bytes(0), "1k", "1000"),
        (Bytes(0), "12b", "12"),
        (BytesOrPercent, "5%", "5%"),
        (BytesOrPercent, "1gb", "1073741824"),
        (Word(&["notice"]), "Notice", "notice"),
        (Save, " 900  1 300 10", "900 1 300 10"),
        (Save, "", ""),
        (
            OutputBufferLimits,
            "pubsub 32mb 8mb 60 replica 256mb 64mb 60",
            "slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
        (KeyspaceEvents, "xEgK", "gxKE"),
        (KeyspaceEvents, "nAE", "AE"),
        (KeyspaceEvents, "KEg$lshzxetd", "AKE"),
        (Percentiles, "50  99.9", "50 99.9"),
        (Text, "Any Text", "Any Text"),
    ];
    for (value, text, expected) in cases {
        assert_eq!(value.normal(text).as_deref(), Some(expected), "{text:?}");
        assert_eq!(value.normal(expected).as_deref(), Some(expected), "twice");
    }
}

#[test]
fn what_an_engine_would_not_take_is_none() {
    for (value, text) in [
        (YesNo, "true"),
        (Integer(0, 10), "11"),
        (Integer(0, 10), "-1"),
        (Integer(0, 10), ""),
        (Bytes(0), "64Mi"),
        (Bytes(0), "-1"),
        (Bytes(0), ""),
        (Bytes(1024), "1000"),
        (Bytes(0), "99999999999999999gb"),
        (BytesOrPercent, "101%"),
        (Word(&["notice"]), "loud"),
        (Save, "900"),
        (Save, "900 x"),
        (OutputBufferLimits, ""),
        (OutputBufferLimits, "replica 1 2"),
        (OutputBufferLimits, "master 1 2 3"),
        (OutputBufferLimits, "replica 1 2 -3"),
        (KeyspaceEvents, "Kq"),
        (Percentiles, "101"),
        (Percentiles, "NaN"),
    ] {
        assert_eq!(value.normal(text), None, "{text:?}");
    }
}
