"""The ordered log, and everything else that lives in Redis: nobody else knows a key's name."""
