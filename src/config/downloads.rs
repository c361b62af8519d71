//! How much may be downloaded at once: rates, the hours in which others hold, and a cap.

use super::options::{DownloadHours, ServeOptions};
use super::{ConfigError, rate_or_off, refuse};
use crate::domain::TimeZone;
use crate::domain::downloads::{DownloadCap, DownloadLimits, RateSchedule, Rates};
use crate::domain::{ByteSize, LocalHours};

/// What the options and the hours of the file say, by the clocks of `zone`, for a server that serves so many connections.
pub(super) fn download_limits(
    options: &ServeOptions,
    hours: Vec<DownloadHours>,
    connections: usize,
    zone: &TimeZone,
) -> Result<DownloadLimits, ConfigError> {
    let usual = Rates {
        total: rate("download_rate", options.download_rate.as_deref(), None)?,
        device: rate("download_rate_device", options.download_rate_device.as_deref(), None)?,
    };
    let hours = hours.into_iter().map(|entry| rates_in_hours(entry, usual, zone)).collect::<Result<_, _>>()?;
    let cap = options.max_downloads.map(|downloads| DownloadCap::new(downloads, connections)).transpose();
    let cap = cap.or_else(|invalid| refuse(format!("max_downloads {invalid}")))?;
    Ok(DownloadLimits { rates: RateSchedule { usual, hours }, cap })
}

fn rates_in_hours(entry: DownloadHours, usual: Rates, zone: &TimeZone) -> Result<(LocalHours, Rates), ConfigError> {
    let DownloadHours { hours, rate: total, rate_device: device } = entry;
    if total.is_none() && device.is_none() {
        return refuse(format!("download_hours for \"{hours}\" need a rate or a rate_device (\"off\": no limit)"));
    }
    let rates = Rates {
        total: rate("rate in download_hours", total.as_deref(), usual.total)?,
        device: rate("rate_device in download_hours", device.as_deref(), usual.device)?,
    };
    Ok((hours.local(zone.clone()), rates))
}

/// A rate at which downloads come to an end, or none; `usual` if nothing is said.
fn rate(name: &str, text: Option<&str>, usual: Option<ByteSize>) -> Result<Option<ByteSize>, ConfigError> {
    let Some(text) = text else { return Ok(usual) };
    match rate_or_off(name, text)? {
        Some(rate) if rate < Rates::LOWEST => {
            refuse(format!("{name}: \"{text}\" is too little: at least 1KiB/s, or off"))
        }
        rate => Ok(rate),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::options::parse_file;
    use super::*;
    use crate::domain::Timestamp;

    fn read(text: &str) -> Result<DownloadLimits, ConfigError> {
        let contents = parse_file(Path::new("tender.toml"), text)?;
        download_limits(&contents.serve, contents.download_hours, 1024, &TimeZone::UTC)
    }

    fn limits(text: &str) -> DownloadLimits {
        read(text).unwrap()
    }

    fn rates(total: Option<u64>, device: Option<u64>) -> Rates {
        Rates { total: total.map(ByteSize::from_bytes), device: device.map(ByteSize::from_bytes) }
    }

    #[test]
    fn without_a_word_there_is_no_limit() {
        assert_eq!(limits(""), DownloadLimits::default());
        assert_eq!(limits("download_rate = \"off\"\ndownload_rate_device = \"0\""), DownloadLimits::default());
    }

    #[test]
    fn rates_are_sizes_with_or_without_the_second() {
        for text in ["40MiB", "40MiB/s", "40 MiB/s", " 41943040 "] {
            assert_eq!(
                limits(&format!("download_rate = \"{text}\"")).rates.usual,
                rates(Some(40 << 20), None),
                "{text}"
            );
        }
        assert_eq!(limits("download_rate_device = \"500kB/s\"").rates.usual, rates(None, Some(500_000)));
    }

    #[test]
    fn other_rates_hold_in_hours_and_what_they_leave_out_is_as_usual() {
        let limits = limits(
            r#"
            download_rate = "8MiB"
            download_rate_device = "1MiB"
            max_downloads = 12
            [[download_hours]]
            hours = "mon-fri 08:00-18:00"
            rate = "2MiB/s"
            [[download_hours]]
            hours = "fri,sat"
            rate = "off"
            rate_device = "3MiB/s"
            "#,
        );
        // 2027-01-15, a Friday, 08:00.
        let at = |hours: i64| limits.rates.rates(|| Some(Timestamp::from_unix_seconds(1_800_000_000 + hours * 3600)));
        assert_eq!(at(0), rates(Some(2 << 20), Some(1 << 20)));
        assert_eq!(at(10), rates(None, Some(3 << 20)));
        assert_eq!(at(48), rates(Some(8 << 20), Some(1 << 20)));
        assert_eq!(limits.cap, DownloadCap::new(12, 1024).ok());
    }

    #[test]
    fn hours_that_cannot_work_are_refused_in_one_sentence() {
        for (hours, reason) in [
            ("rate = \"1MiB\"", "hours"),
            ("hours = \"08:00-18:00\"", "need a rate"),
            ("hours = \"at night\"\nrate = \"1MiB\"", "at night"),
            ("hours = \"sat,sun\"\nrate = \"1B/s\"", "too little"),
            ("hours = \"sat,sun\"\nrate_device = \"slow\"", "rate_device"),
            ("hours = \"sat,sun\"\nrates = \"1MiB\"", "rates"),
        ] {
            let sentence = read(&format!("[[download_hours]]\n{hours}")).unwrap_err().to_string();
            assert!(sentence.contains(reason) && !sentence.contains('\n'), "{sentence}");
        }
        assert!(read("download_hours = \"sat,sun\"").is_err());
    }
}
