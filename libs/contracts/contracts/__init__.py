"""What the services say to each other: events, their schemas, who hears what."""
