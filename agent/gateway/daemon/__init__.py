"""The gateway process: lines, SIP, audio and the Switch that joins them."""
