use jiff::civil;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn local(hours: &str, zone_name: &str) -> LocalHours {
    hours.parse::<Hours>().unwrap().local(zone(zone_name))
}

/// A moment, written in UTC.
fn utc(text: &str) -> Timestamp {
    Timestamp::from_unix_seconds(text.parse::<jiff::Timestamp>().unwrap().as_second())
}

fn written(at: Timestamp) -> String {
    instant(at).to_string()
}

#[test]
fn hours_are_read_and_written() {
    for (text, canonical) in [
        ("mon-fri 08:00-18:00", "mon-fri 08:00-18:00"),
        ("22:00-06:00", "22:00-06:00"),
        ("sat,sun 00:00-24:00", "sat,sun 00:00-24:00"),
        ("Sat, Sun", "sat,sun 00:00-24:00"),
        ("monday 8:00 - 9:30", "mon 08:00-09:30"),
        ("fri-mon 22:00-00:00", "mon,fri-sun 22:00-24:00"),
        ("mon-sun 01:00-02:00", "01:00-02:00"),
        ("mon,wed,fri 1:00-2:00;tue 3:00-4:00", "mon,wed,fri 01:00-02:00; tue 03:00-04:00"),
    ] {
        let hours: Hours = text.parse().unwrap();
        assert_eq!(hours.to_string(), canonical, "{text}");
        assert_eq!(canonical.parse(), Ok(hours), "{text}");
    }
    for text in [
        "",
        ";",
        "08:00-18:00;",
        "08:00",
        "8-18",
        "08:00-25:00",
        "08:60-09:00",
        "24:00-06:00",
        "08:00-08:00",
        "00:00-00:00",
        "mon-",
        "-fri 08:00-09:00",
        "someday 08:00-09:00",
        "mon fri 08:00-09:00",
        "08:00-09:00 mon",
        "08:0-09:00",
        "+8:00-09:00",
        "mon 08:00-09:00-10:00",
        "24:01-24:02",
        "always",
    ] {
        let sentence = text.parse::<Hours>().unwrap_err().to_string();
        assert!(
            !sentence.contains('\n') && sentence.contains("00:00") | sentence.contains("08:00"),
            "{text}: {sentence}"
        );
    }
}

#[test]
fn hours_tell_whose_clocks_count() {
    assert_eq!(local("sun 1:00-2:00", "Europe/Berlin").to_string(), "sun 01:00-02:00 (Europe/Berlin)");
}

#[test]
fn hours_begin_and_end_by_the_clocks_of_the_place() {
    // From each moment on: whether it is one of the hours, and when that changes.
    let cases = [
        // A Monday in winter, one hour ahead of UTC.
        ("mon-fri 08:00-18:00", "Europe/Berlin", "2027-01-18T06:59:59Z", false, "2027-01-18T07:00:00Z"),
        ("mon-fri 08:00-18:00", "Europe/Berlin", "2027-01-18T07:00:00Z", true, "2027-01-18T17:00:00Z"),
        ("mon-fri 08:00-18:00", "Europe/Berlin", "2027-01-22T17:00:00Z", false, "2027-01-25T07:00:00Z"),
        // Over the end of winter, two hours ahead.
        ("mon-fri 08:00-18:00", "Europe/Berlin", "2027-03-26T17:00:00Z", false, "2027-03-29T06:00:00Z"),
        // Sunday's night is part of Monday.
        ("sun 22:00-06:00", "UTC", "2027-01-18T05:59:59Z", true, "2027-01-18T06:00:00Z"),
        ("sun 22:00-06:00", "UTC", "2027-01-18T06:00:00Z", false, "2027-01-24T22:00:00Z"),
        // Windows that touch are one.
        ("sat,sun; mon 00:00-06:00", "UTC", "2027-01-16T00:00:00Z", true, "2027-01-18T06:00:00Z"),
        // 2027-03-28, 02:00 in Berlin becomes 03:00: this window is not there, nor is one that begins in it late.
        ("sun 02:00-03:00", "Europe/Berlin", "2027-03-28T00:59:59Z", false, "2027-04-04T00:00:00Z"),
        ("sun 02:30-04:00", "Europe/Berlin", "2027-03-28T00:00:00Z", false, "2027-03-28T01:00:00Z"),
        ("sun 02:30-04:00", "Europe/Berlin", "2027-03-28T01:00:00Z", true, "2027-03-28T02:00:00Z"),
        ("sun 01:00-02:30", "Europe/Berlin", "2027-03-28T00:30:00Z", true, "2027-03-28T01:00:00Z"),
        // 2027-10-31, 03:00 in Berlin becomes 02:00: the hour counts twice.
        ("sun 02:00-03:00", "Europe/Berlin", "2027-10-31T00:00:00Z", true, "2027-10-31T02:00:00Z"),
        ("sun 02:15-02:45", "Europe/Berlin", "2027-10-31T00:00:00Z", false, "2027-10-31T00:15:00Z"),
        ("sun 02:15-02:45", "Europe/Berlin", "2027-10-31T00:15:00Z", true, "2027-10-31T00:45:00Z"),
        ("sun 02:15-02:45", "Europe/Berlin", "2027-10-31T00:45:00Z", false, "2027-10-31T01:15:00Z"),
        ("sun 02:15-02:45", "Europe/Berlin", "2027-10-31T01:15:00Z", true, "2027-10-31T01:45:00Z"),
        // The jump back leads out of the window, and the clocks into it once more.
        ("sun 02:30-04:00", "Europe/Berlin", "2027-10-31T00:30:00Z", true, "2027-10-31T01:00:00Z"),
        ("sun 02:30-04:00", "Europe/Berlin", "2027-10-31T01:00:00Z", false, "2027-10-31T01:30:00Z"),
        ("22:00-06:00", "Europe/Berlin", "2027-10-30T20:00:00Z", true, "2027-10-31T05:00:00Z"),
        // 2027-03-14, 02:00 in New York becomes 03:00; 2027-11-07, 02:00 becomes 01:00.
        ("22:00-06:00", "America/New_York", "2027-03-14T03:00:00Z", true, "2027-03-14T10:00:00Z"),
        ("sun 02:00-02:30", "America/New_York", "2027-03-14T06:00:00Z", false, "2027-03-21T06:00:00Z"),
        ("sun 01:00-02:00", "America/New_York", "2027-11-07T05:00:00Z", true, "2027-11-07T07:00:00Z"),
        // Lord Howe moves by half an hour: 2027-04-04, 02:00 becomes 01:30; 2027-10-03, 02:00 becomes 02:30.
        ("sun 01:30-02:00", "Australia/Lord_Howe", "2027-04-03T14:30:00Z", true, "2027-04-03T15:30:00Z"),
        ("sun 01:45-03:00", "Australia/Lord_Howe", "2027-04-03T14:45:00Z", true, "2027-04-03T15:00:00Z"),
        ("sun 01:45-03:00", "Australia/Lord_Howe", "2027-04-03T15:00:00Z", false, "2027-04-03T15:15:00Z"),
        ("sun 02:00-02:30", "Australia/Lord_Howe", "2027-10-02T15:29:59Z", false, "2027-10-09T15:00:00Z"),
        ("sun 02:15-04:00", "Australia/Lord_Howe", "2027-10-02T15:00:00Z", false, "2027-10-02T15:30:00Z"),
        // Samoa had no Friday on 2011-12-30.
        ("fri", "Pacific/Apia", "2011-12-28T00:00:00Z", false, "2012-01-05T10:00:00Z"),
    ];
    for (hours, zone, at, is_open, change) in cases {
        let (local, at) = (local(hours, zone), utc(at));
        assert_eq!(local.contains(at), is_open, "{hours} {zone} {}", written(at));
        assert_eq!(local.next_change(at).map(written).as_deref(), Some(change), "{hours} {zone} {}", written(at));
    }
}

#[test]
fn what_is_always_never_changes() {
    for hours in ["00:00-24:00", "mon-fri; sat,sun", "06:00-22:00; 22:00-06:00"] {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
            let hours = local(hours, zone);
            assert_eq!(
                (hours.contains(utc("2027-03-28T00:00:00Z")), hours.next_change(utc("2011-12-25T00:00:00Z"))),
                (true, None)
            );
        }
    }
}

#[test]
fn no_moment_makes_it_panic() {
    let hours = local("mon-fri 08:00-18:00", "Europe/Berlin");
    for seconds in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let at = Timestamp::from_unix_seconds(seconds);
        hours.contains(at);
        hours.next_change(at);
    }
}

/// A window as a person would tell it: its days, and when it begins and ends.
type Told = (Vec<i8>, u16, u16);

/// What the clocks show, looked up in what was told.
fn was_told(told: &[Told], shown: civil::DateTime) -> bool {
    let minute = shown.hour() as u16 * 60 + shown.minute() as u16;
    let today = shown.weekday().to_monday_zero_offset();
    told.iter().any(|(days, start, end)| {
        let begins = |day: i8| days.contains(&day);
        if end > start {
            begins(today) && (*start..*end).contains(&minute)
        } else {
            (begins(today) && minute >= *start) || (begins((today + 6) % 7) && minute < *end)
        }
    })
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    // Also windows of a few minutes, and around the hours in which clocks are changed.
    let minute = prop_oneof![0_u16..24 * 60, 60_u16..240, (0_u16..48).prop_map(|half| half * 30)];
    let days = proptest::sample::subsequence((0_i8..7).collect::<Vec<_>>(), 1..=7);
    let window = (days, minute.clone(), minute).prop_filter("not empty", |(_, start, end)| start != end);
    proptest::collection::vec(window, 1..4)
}

fn text_of(told: &[Told]) -> String {
    let windows = told.iter().map(|(days, start, end)| {
        let days: Vec<&str> = days.iter().map(|day| &DAYS[*day as usize][..3]).collect();
        format!("{} {}:{:02}-{}:{:02}", days.join(","), start / 60, start % 60, end / 60, end % 60)
    });
    windows.collect::<Vec<_>>().join(";")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn going_through_all_minutes_gives_the_same(
        told in told(),
        zone_name in proptest::sample::select(&["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"][..]),
        // Around the days on which some of them change their clocks, and others.
        day in proptest::sample::select(&["2027-01-15", "2027-03-12", "2027-03-27", "2027-04-02", "2027-10-01", "2027-10-29", "2027-11-06"][..]),
        minutes in 0_i64..3 * 24 * 60,
        seconds in 0_i64..60,
    ) {
        let hours = local(&text_of(&told), zone_name);
        let zone = zone(zone_name);
        let is_open = |at: i64| was_told(&told, zone.to_datetime(instant(Timestamp::from_unix_seconds(at))));
        let at = utc(&format!("{day}T00:00:00Z")).unix_seconds() + minutes * 60 + seconds;
        prop_assert_eq!(hours.contains(Timestamp::from_unix_seconds(at)), is_open(at));
        let next_minute = at - at % 60 + 60;
        let change = (0..23 * 24 * 60).map(|minute| next_minute + minute * 60).find(|minute| is_open(*minute) != is_open(at));
        prop_assert_eq!(hours.next_change(Timestamp::from_unix_seconds(at)).map(Timestamp::unix_seconds), change);
    }

    #[test]
    fn what_is_written_is_read_as_the_same(told in told()) {
        let hours: Hours = text_of(&told).parse().unwrap();
        prop_assert_eq!(hours.to_string().parse::<Hours>(), Ok(hours));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9:;, -]{0,30}|.{0,20}") {
        let _ = text.parse::<Hours>();
    }
}
