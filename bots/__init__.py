"""Who we talk through: one file per channel, one way in (the inbox) and one way out (the outbox)."""
