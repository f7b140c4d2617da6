// The terminal makes links of addresses in its text. That text may be an attacker's: nothing opens from here.
window.open = () => null;
// A page address that asks to be pinged elsewhere is not obeyed (the policy would refuse it, too).
if (window.location.search) window.history.replaceState(null, "", "/");
document.addEventListener("DOMContentLoaded", () => {
  // Keys go to the terminal as soon as it shows anything, without a click.
  new MutationObserver((_, observer) => {
    const keys = document.querySelector(".xterm-helper-textarea");
    if (keys && document.body.classList.contains("-first-byte")) {
      observer.disconnect();
      keys.focus();
    }
  }).observe(document.body, { attributes: true });
  document.getElementById("again").addEventListener("click", () => window.location.reload());
});
