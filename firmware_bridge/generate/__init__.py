"""What is made from the message table: C types and codecs, the protocol page, golden vectors.

python -m firmware_bridge.generate [--check]
"""
