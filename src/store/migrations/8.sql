CREATE INDEX devices_by_name ON devices (name COLLATE NOCASE);

CREATE INDEX devices_by_type ON devices (substr(coalesce(metadata ->> '$."rdfm.hardware.devtype"', ''), 1, 64));

CREATE INDEX devices_by_version ON devices (substr(coalesce(metadata ->> '$."rdfm.software.version"', ''), 1, 64));

CREATE INDEX devices_for_search ON devices (name, mac_address, mac_key, metadata);
