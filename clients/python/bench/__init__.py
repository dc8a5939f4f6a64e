"""What the client for Python costs, beside what people would take instead: a part of ``cargo xtask bench clients``.

Whatever is compared is played in turn, round by round, by the same kind of connections: a machine that is slow for a
while is slow for all.
"""
