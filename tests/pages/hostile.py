"""Words from outside that a page must show as they are."""

NAMES = [
    "**x** :smile: <script>window.hacked=1</script>",
    "$\\LaTeX$ ![x](http://evil.test/p.gif) :material/home: :red[x]",
    "<svg onload=alert(1)> &lt;b&gt; &amp;",
    "[click](javascript:alert(1)) http://evil.test",
    "# heading `code` ~~gone~~ | a | b |",
    '" onmouseover="alert(1)" x="',
    "'; DROP TABLE products; --",
    "{name} %s%n ${x}",
    "a\u202egnp.exe",
    "x" * 300,
    "👩‍🚀",
]
